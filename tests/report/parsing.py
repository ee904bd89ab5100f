"""Reading a page as a browser does, with complaints where a browser would be silent."""

from html.parser import HTMLParser

VOID = {"br", "col", "hr", "img", "link", "meta"}


class Page(HTMLParser):
    """The elements of a page with their attributes and texts; raises where they are not nested."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.root = Element("page", {})
        self._open = [self.root]
        self.feed(text)
        self.close()
        assert self._open == [self.root], f"not closed: {self._open[-1].name}"

    def handle_starttag(self, name, attributes):
        assert len(dict(attributes)) == len(attributes), f"an attribute of {name} comes twice"
        made = Element(name, dict(attributes))
        self._open[-1].children.append(made)
        if name not in VOID:
            self._open.append(made)

    def handle_endtag(self, name):
        assert self._open.pop().name == name

    def handle_data(self, text):
        self._open[-1].children.append(text)

    def __getitem__(self, name):
        return self.root.all(id=name)[0]


class Element:
    def __init__(self, name, attributes):
        self.name, self.attributes, self.children = name, attributes, []

    @property
    def text(self):
        return "".join(one if isinstance(one, str) else one.text for one in self.children)

    def all(self, name=None, **attributes):
        """The elements within, of a name, with attributes of these values."""
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        found = []
        for one in (one for one in self.children if isinstance(one, Element)):
            if name in (None, one.name) and wanted.items() <= one.attributes.items():
                found.append(one)
            found += one.all(name, **attributes)
        return found

    def with_class(self, kind):
        return [one for one in self.all() if kind in one.attributes.get("class", "").split()]

    def rows(self):
        """The cells of a table, row by row."""
        return [[cell.text for cell in row.children] for row in self.all("tr")]
