"""Splitting lists into pages."""

PAGE_SIZE = 3


def split(items, size=PAGE_SIZE):
    return [items[start : start + size] for start in range(0, len(items), size)]


def page_of(items, number, size=PAGE_SIZE):
    pages = split(items, size)
    return {"page": number, "pages": len(pages), "items": pages[number - 1]}
