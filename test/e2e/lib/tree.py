"""SQL text as a tree of parts, so that a failing query can be made smaller without a parser.

A part is a string or a node. A reduction need not give valid SQL: PostgreSQL says which of the smaller texts are."""


class Node:
    """category: nodes of one category can stand for one another. optional: may be left out."""

    __slots__ = ("category", "parts", "optional", "simple")

    def __init__(self, category, *parts, optional=False, simple=None):
        self.category, self.parts, self.optional, self.simple = category, parts, optional, simple

    def __str__(self):
        return "".join(str(p) for p in self.parts)

    def children(self):
        return [(i, p) for i, p in enumerate(self.parts) if isinstance(p, Node)]

    def with_part(self, i, part):
        return Node(self.category, *self.parts[:i], part, *self.parts[i + 1:], optional=self.optional, simple=self.simple)


class List(Node):
    """Nodes with a separator between them; at least `least` stay."""

    __slots__ = ("separator", "least")

    def __init__(self, category, items, separator=", ", least=1):
        Node.__init__(self, category, *items)
        self.separator, self.least = separator, least

    def __str__(self):
        return self.separator.join(str(p) for p in self.parts)

    def with_part(self, i, part):
        return List(self.category, self.parts[:i] + (part,) + self.parts[i + 1:], self.separator, self.least)


def optional(category, *parts):
    return Node(category, *parts, optional=True)


def expr(kind, *parts, simple=None):
    return Node("expr " + kind, *parts, simple=simple)


def descendants(node, category):
    for _, child in node.children():
        if child.category == category:
            yield child
        yield from descendants(child, category)


def _replacements(node):
    """Smaller things that may stand in a node's place."""
    if node.optional:
        yield Node(node.category)
    yield from descendants(node, node.category)
    if node.simple is not None and str(node) != node.simple:
        yield Node(node.category, node.simple)
    if isinstance(node, List) and len(node.parts) > node.least:
        for i in range(len(node.parts)):
            yield List(node.category, node.parts[:i] + node.parts[i + 1:], node.separator, node.least)


def reductions(root):
    """Every tree that is one step smaller, the shortest text first."""
    found = {}

    def visit(node, rebuild):
        for smaller in _replacements(node):
            tree = rebuild(smaller)
            found.setdefault(str(tree), tree)
        for i, child in node.children():
            visit(child, lambda part, node=node, i=i: rebuild(node.with_part(i, part)))

    visit(root, lambda part: part)
    size = len(str(root))
    return sorted((t for text, t in found.items() if len(text) < size), key=lambda t: len(str(t)))
