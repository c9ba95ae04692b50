"""A page as a browser reads it."""

import collections
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Collects what the page refers to and says; fails on tags that do not close."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.open, self.references, self.alts, self.words, self.classes = [], [], [], [], [], []
        self.children = collections.defaultdict(list)  # the tags directly within each kind of tag
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.children[self.open[-1] if self.open else ""].append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.references.append(value)
            elif name == "alt":
                self.alts.append(value)
            elif name == "class":
                self.classes.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())
