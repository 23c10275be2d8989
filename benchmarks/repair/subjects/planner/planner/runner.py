"""Runs tasks, some at the same time."""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor


class Runner:
    def __init__(self, workers=2, retries=1, log=None):
        self.workers = workers
        self.retries = retries
        self.results = {}
        self.log = log if log is not None else []
        self.lock = threading.Lock()
        self.counter = itertools.count(1)

    def run(self, jobs, timeout=None):
        with ThreadPoolExecutor(self.workers) as pool:
            futures = {name: pool.submit(self._attempt, name, job) for name, job in jobs.items()}
        for name, future in futures.items():
            self.results[name] = future.result(timeout)
        return self.results

    def _attempt(self, name, job):
        error = None
        for _ in range(self.retries + 1):
            try:
                return job()
            except ArithmeticError as problem:
                error = problem
        with self.lock:
            self.log.append("%s: %s" % (next(self.counter), name))
        return str(error)

    async def gather(self, jobs, limit=2):
        gate = asyncio.Semaphore(limit)

        async def one(job):
            async with gate:
                value = await job()
                return 0 if value is None else value

        return sum(await asyncio.gather(*[one(job) for job in jobs]))

    def gather_sync(self, jobs):
        return asyncio.run(self.gather(jobs))


def memoised(function=None, *, size=8):
    if function is None:
        return functools.partial(memoised, size=size)
    known = {}

    @functools.wraps(function)
    def call(*args, **options):
        key = (tuple(freeze(arg) for arg in args), freeze(options))
        if key not in known:
            if len(known) >= size:
                known.pop(next(iter(known)), None)
            known[key] = function(*args, **options)
        return known[key]

    call.known = known
    return call


def freeze(value):
    if isinstance(value, dict):
        return tuple(sorted((key, freeze(item)) for key, item in value.items()))
    if isinstance(value, (list, set, tuple)):
        return tuple(freeze(item) for item in value)
    return value


def batches(items, size=2):
    iterator = iter(items)
    while True:
        batch = tuple(itertools.islice(iterator, size))
        if not batch:
            return
        yield batch


def percent(part, whole, digits=1):
    if not whole:
        return "0%"
    return str(round(100 * part / whole, digits)) + "%"


def parse_duration(text):
    """Minutes of `1h30`, `45m` or a number."""
    if isinstance(text, (int, float)):
        return int(text)
    text = (text or "").strip().lower()
    if not text:
        return 0
    hours, separator, minutes = text.partition("h")
    if not separator:
        return int(text.rstrip("m"))
    return int(hours or 0) * 60 + int(minutes.rstrip("m") or 0)
