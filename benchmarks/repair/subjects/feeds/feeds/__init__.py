"""Reading other people's files: CSV price lists, JSON feeds, log lines."""

from feeds.cache import Cache
from feeds.feed import Feed, merge
from feeds.prices import PriceList

__all__ = ["Cache", "Feed", "PriceList", "merge"]
