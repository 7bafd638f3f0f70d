"""Two prompts row by row, from what runs kept: facts as values, and the page that tells them."""

from optimizer.review.page import page
from optimizer.review.paired import Side, paired

__all__ = ["Side", "page", "paired"]
