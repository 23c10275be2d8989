"""Whether a function goes no further when something was not found."""

from __future__ import annotations

import libcst as cst

from homeostasis_rules_python.code.tree import Tree, called_name, dotted_name


def left_if_none(tree: Tree, name: cst.BaseExpression, at: cst.CSTNode | None = None) -> bool:
    """Whether the code before leaves the function if a value is missing: `if row is None: ...`, `if not row: ...`."""
    function = tree.function(name)
    for test in tree.all(cst.If, function.body) if function is not None else ():
        subject, before = test.test, tree.range(test).end.line < tree.range(name if at is None else at).start.line
        if isinstance(subject, cst.UnaryOperation) and isinstance(subject.operator, cst.Not):
            subject = subject.expression
        elif isinstance(subject, cst.Comparison) and isinstance(subject.comparisons[0].operator, cst.Is):
            subject = subject.left
        else:
            continue
        if before and dotted_name(subject) == dotted_name(name) and leaves(tree, test.body):
            return True
    return False


def leaves(tree: Tree, body: cst.BaseSuite) -> bool:
    """Whether a block returns, raises or aborts somewhere."""
    left = any(True for kind in (cst.Return, cst.Raise) for _ in tree.all(kind, body))
    return left or any(called_name(call) == "abort" for call in tree.all(cst.Call, body))
