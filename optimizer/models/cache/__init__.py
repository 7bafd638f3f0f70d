"""Completions that were paid for, kept on disk for the whole workspace."""

from optimizer.models.cache.cached import Cached
from optimizer.models.cache.disk import CompletionCache
from optimizer.models.cache.kept import Kept
from optimizer.models.cache.stock import CacheStats

__all__ = ["CacheStats", "Cached", "CompletionCache", "Kept"]
