"""Completions that were paid for, kept on disk for the whole workspace."""

from optimizer.models.cache.cached import Cached
from optimizer.models.cache.disk import CacheStats, CompletionCache

__all__ = ["CacheStats", "Cached", "CompletionCache"]
