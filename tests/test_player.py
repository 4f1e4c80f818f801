"""The tape player: its steps, its page, and what it refuses."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from litad import LitadError, Tape, grad
from litad.player import play, short

VOID = {"br", "hr", "img", "input", "link", "meta", "rect", "circle", "path"}


def quotient(x, y):
    u = x * y + 1.0
    return np.sin(u) / x


def steps_of(played) -> list[dict]:
    data = re.search(
        r'<script type="application/json">(.*?)</script>', played.bundle["text/html"], re.S
    )
    return json.loads(data[1])


class Balanced(HTMLParser):
    "Every tag that is opened is closed, in order."

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_walk_ends_at_the_gradient():
    steps = steps_of(play(quotient, 0.7, 1.3))
    adjoints: dict = {}
    for step in steps:
        adjoints |= step["adjoints"]
    expected = grad(quotient, (0, 1))(0.7, 1.3)
    assert [adjoints["0"], adjoints["1"]] == [short(g) for g in expected]


def test_steps_go_forward_then_back_with_their_lines():
    steps = steps_of(play(quotient, 0.7, 1.3))
    said = [step["said"].split(":")[0].split()[0] for step in steps]
    turn = said.index("The", 1)
    assert said[1:turn] == ["Forward"] * 4 and said[turn + 1 :] == ["Back"] * 4
    first = quotient.__code__.co_firstlineno
    assert [step["line"] - first for step in steps[1:turn]] == [1, 1, 2, 2]
    assert [step["node"] for step in steps[1:turn]] == [2, 3, 4, 5]


def test_the_page_is_well_formed_and_loads_nothing():
    played = play(quotient, 0.7, 1.3)
    page = Balanced()
    page.feed(played.bundle["text/html"])
    page.close()
    assert not page.open
    drawn = ElementTree.fromstring(played.bundle["image/svg+xml"])
    assert len(drawn.findall("{*}g")) == 6 and "quotient" in drawn.attrib["aria-label"]
    assert not re.search(r"""(?:src|href)=|@import|url\(|fetch|import\(""", page.rawdata)


def test_the_users_text_stays_text():
    def odd(x):
        note = "<b>&</script>"  # <script>alert(1)</script>
        return x * len(note)

    page = play(odd, 1.0).bundle["text/html"]
    assert "<b>" not in page and "alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("</script>") == 2


def test_a_terminal_gets_the_table_and_arrays_are_inputs():
    played = play(lambda w: np.sum(w * w), np.array([1.0, 2.0]))
    assert repr(played).startswith("Tape: 1 inputs") and "[2.0, 4.0]" in repr(played)


def test_a_tape_made_by_hand_plays_too():
    tape = Tape()
    x = tape.input(2.0, "x")
    with tape:
        y = x * x
        tape_of_more = y * 3.0
    assert steps_of(tape.play(y))[-1]["adjoints"] == {"0": "4.0"}
    assert tape.grad_of(x) == 4.0 and tape_of_more.value == 12.0


def test_a_node_that_is_not_used_gets_no_adjoint():
    def wasteful(x):
        np.exp(x)
        return 2.0 * x

    steps = steps_of(play(wasteful, 1.0))
    assert not any("1" in step["adjoints"] for step in steps)


@pytest.mark.parametrize(
    ("f", "x", "said"),
    [
        (np.sin, 1.0, "written in Python"),
        (lambda x: 2.0 * x, np.ones(2), "returns one number"),
        (lambda x: 3.0, 1.0, "returns one number"),
        (lambda x: sum((x * 1.0 for _ in range(99)), x), 1.0, "short programs"),
    ],
)
def test_refusals(f, x, said):
    with pytest.raises(LitadError, match=said):
        play(f, x)
