"""The tree as the models get it, with what in it is secret: it says where, and never what.

The parent; pure. It lives as long as the configuration, because some faults are found
much later: a sense's options are checked by a worker, and their faults still name
the line in nerve.yaml.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from nerve.config.faults import Fault, Problem, locate
from nerve.config.secrets import Redactor, secret_scalars
from nerve.config.tree import Node, Place, TreePath, find

_WITHHELD = "is not valid here; the value is secret and not shown"


@dataclass(frozen=True, slots=True)
class Document:
    """A tree after `--set`, interpolation and the removal of blanks.

    Attributes:
        tree: the values with their places.
        secret_paths: those of the secret scalars.
        secret_env: names of the environment variables that went into them.
        redactor: masks them, and what was put into them.
    """

    tree: Node
    secret_paths: frozenset[TreePath]
    secret_env: frozenset[str]
    redactor: Redactor = field(repr=False)

    def place(self, path: TreePath, *, at_key: bool = False) -> Place:
        """Tell where a value stands, or its key; where the path ends early, its last part."""
        node, _ = find(self.tree, path)
        return node.key_place if at_key and node.key_place else node.place

    def fault(self, problem: Problem) -> Fault:
        """Give a problem its place; a message about a secret is replaced by a silent one."""
        _, path = find(self.tree, problem.path)
        if path in self.secret_paths and problem.quotes_value:
            return locate(self.tree, Problem(path, _WITHHELD))
        # Before the message is cut, or half a secret could be left of it.
        message = self.redactor.text(problem.message)
        fault = locate(self.tree, replace(problem, message=message))
        return replace(fault, hint=self.redactor.text(fault.hint))

    def masking(self, values: Collection[str]) -> "Document":
        """Return it with a redactor that masks these values, too."""
        if not values:
            return self
        return replace(self, redactor=Redactor((*self.redactor.values, *values)))

    def is_unresolved(self, path: TreePath) -> bool:
        """Tell whether a value could not be interpolated, which is a fault already."""
        origin = find(self.tree, path)[0].origin
        return origin is not None and origin.failed


def make_document(tree: Node) -> Document:
    """Gather what is secret in a tree."""
    secret = dict(secret_scalars(tree))
    origins = [node.origin for node in secret.values() if node.origin]
    secret_env = frozenset(name for origin in origins for name in origin.variables)
    values = {str(node.value) for node in secret.values()}
    # `Bearer ${TOKEN}` is secret as a whole, and so is the token that may turn up alone.
    values.update(piece for origin in origins for piece in origin.inserted)
    return Document(tree, frozenset(secret), secret_env, Redactor(values))
