"""Settings from the environment. `.env.example` lists them."""

from decimal import Decimal

DEFAULT_TAX = "0.19"
KNOWN_CURRENCIES = ("EUR", "CHF", "GBP")


def load_settings(environ):
    currency = environ.get("INVOICES_CURRENCY", "EUR")
    if currency not in KNOWN_CURRENCIES:
        raise ValueError("unknown currency %s" % currency)
    due_days = int(environ.get("INVOICES_DUE_DAYS", "14"))
    tax = Decimal(environ.get("INVOICES_TAX", DEFAULT_TAX))
    prefix = environ.get("INVOICES_PREFIX") or "INV"
    return {
        "CURRENCY": currency,
        "DUE_DAYS": due_days,
        "TAX": tax,
        "PREFIX": prefix.upper(),
        "FEATURES": parse_features(environ.get("INVOICES_FEATURES", "")),
    }


def parse_features(text):
    features = {}
    for part in (text or "").split(","):
        name, _, value = part.partition("=")
        if not name.strip():
            continue
        features[name.strip()] = value.strip().lower() in ("", "1", "yes", "on")
    return features
