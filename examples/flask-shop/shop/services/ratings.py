"""Arithmetic on review scores."""


def average(scores):
    return sum(scores) / len(scores)


def share_of_best(scores):
    if not scores:
        return 0
    return sum(1 for score in scores if score == 5) / len(scores)


def histogram(scores):
    return {stars: scores.count(stars) for stars in range(1, 6)}
