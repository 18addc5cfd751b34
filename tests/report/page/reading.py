"""Reads a page as a program would: its tables, its data, its text."""

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """The tables (rows of cells' texts, by id), the JSON, the text and every address of a page."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.text, self.addresses, self.tags = {}, [], [], []
        self._rows = self._cell = self._script = None
        self.data = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.addresses += [attributes[name] for name in ("src", "href") if attributes.get(name)]
        if tag == "table":
            self._rows = self.tables.setdefault(attributes.get("id"), [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows is not None:
            self._cell = []
        elif tag in ("script", "style"):
            self._script = attributes.get("id", "")

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self._cell is not None:
            self._rows[-1].append("".join(self._cell).strip())
            self._cell = None
        elif tag == "table":
            self._rows = None
        elif tag in ("script", "style"):
            self._script = None

    def handle_data(self, text):
        if self._script == "data":
            self.data = json.loads(text)
        elif self._script is None:
            self.text.append(text)
            if self._cell is not None:
                self._cell.append(text)

    def rows(self, table):
        """Each row of a table by the names of its columns."""
        header, *rows = self.tables[table]
        return [dict(zip(header, row, strict=True)) for row in rows]
