"""Tasks that depend on one another."""

from collections import deque


class Cycle(Exception):
    pass


class Task:
    def __init__(self, name, hours=1, needs=(), owner=None):
        self.name = name
        self.hours = hours
        self.needs = list(needs)
        self.owner = owner
        self.done = False

    def __repr__(self):
        return "<%s>" % self.name


class Plan:
    def __init__(self, tasks=()):
        self.tasks = {task.name: task for task in tasks}
        self.history = []

    def add(self, name, hours=1, needs=(), owner=None):
        task = Task(name, hours=hours, needs=needs, owner=owner)
        self.tasks[name] = task
        return task

    def find(self, name):
        return self.tasks.get(name)

    def order(self):
        """Names, each after those that it needs."""
        waiting = {name: {need for need in task.needs if need in self.tasks} for name, task in self.tasks.items()}
        ready = deque(sorted(name for name, needs in waiting.items() if not needs))
        found = []
        while ready:
            name = ready.popleft()
            found.append(name)
            for other in sorted(waiting):
                if name in waiting[other]:
                    waiting[other].discard(name)
                    if not waiting[other]:
                        ready.append(other)
        if len(found) < len(waiting):
            raise Cycle(", ".join(sorted(set(waiting) - set(found))))
        return found

    def depth(self, name, seen=()):
        if name in seen:
            raise Cycle(name)
        task = self.find(name)
        if task is None:
            return 0
        if not task.needs:
            return 1
        return 1 + max(self.depth(need, (*seen, name)) for need in task.needs)

    def finish(self, name):
        task = self.find(name)
        if task is None:
            return False
        task.done = True
        self.history.append(name)
        return True

    def last_finished(self):
        if not self.history:
            return None
        return self.history[-1]

    def progress(self):
        total = sum(task.hours or 0 for task in self.tasks.values())
        if total == 0:
            return 0
        return round(100 * sum(task.hours or 0 for task in self.tasks.values() if task.done) / total)

    def prune(self):
        for name in list(self.tasks):
            if self.tasks[name].done:
                del self.tasks[name]
        return sorted(self.tasks)

    def owners(self):
        found = {}
        for task in self.tasks.values():
            owner = task.owner.strip().title() if task.owner else "unassigned"
            found.setdefault(owner, []).append(task.name)
        return found

    def hours_by_owner(self):
        hours = {}
        for task in self.tasks.values():
            hours[task.owner] = hours.get(task.owner, 0) + (task.hours or 0)
        return hours
