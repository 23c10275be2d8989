from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from decimal import Decimal, InvalidOperation


class PriceList:
    """Prices by article, read from a CSV file with a header."""

    def __init__(self, currency="EUR"):
        self.currency = currency
        self.prices = {}
        self.skipped = []

    @classmethod
    def parse(cls, data, currency="EUR"):
        text = data.decode("utf-8", errors="replace") if isinstance(data, bytes) else data
        found = cls(currency=currency)
        for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
            try:
                found.prices[row["article"].strip()] = Decimal(row["price"].replace(",", "."))
            except (AttributeError, InvalidOperation):
                found.skipped.append(number)
        return found

    def price(self, article, quantity=1):
        price = self.prices.get(article)
        if price is None:
            return None
        return price * Decimal(quantity)

    def label(self, article):
        price = self.price(article)
        if price is None:
            return "n/a"
        return self.currency + " " + str(price)

    def cheapest(self):
        if not self.prices:
            return None
        return min(self.prices, key=lambda name: self.prices[name])

    def mean(self):
        if not self.prices:
            return Decimal(0)
        return sum(self.prices.values(), Decimal(0)) / len(self.prices)

    def discounted(self, percent):
        other = PriceList(self.currency)
        for name, price in self.prices.items():
            other.prices[name] = price * (100 - Decimal(str(percent))) / 100
        return other

    def drop_free(self):
        for name in list(self.prices):
            if self.prices[name] == 0:
                del self.prices[name]
        return len(self.prices)

    def groups(self):
        found = defaultdict(list)
        for name in sorted(self.prices):
            found[name[:1]].append(name)
        return dict(found)


def most_common(names, limit=3):
    counts = Counter()
    for name in names:
        counts[name] += 1
    return counts.most_common(limit)
