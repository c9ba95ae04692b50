"""Problems, told: counted as a person would, the first of them named, all of them where that is said."""

from dbnet_jax.messages import Problem, plural, summary_line
from dbnet_jax.pages.page import MOST_LISTED, problem_list
from dbnet_jax.pages.problems import count_problems, in_short


def test_counts_read_as_words():
    assert [plural(count, "picture") for count in (0, 1, 2000)] == ["0 pictures", "1 picture", "2,000 pictures"]
    assert summary_line(1, 2) == "1 picture skipped, 2 problems in the data"


def test_a_line_that_stands_for_more_counts_as_those():
    assert (
        count_problems(["a.json:1: odd", "a.json: … and 80 more problems", "b.json: … and 1,200 more problems"]) == 1281
    )


def test_a_terminal_gets_the_first_and_no_endless_line():
    lines = [f"a.txt:{number}: odd" for number in range(30)]
    assert in_short(lines[:20], "in x") == lines[:20]
    assert in_short(lines, "in x/problems.txt") == [*lines[:20], "… and 10 more in x/problems.txt"]
    assert in_short([*lines, "a.txt: … and 80 more problems"])[-1] == "… and 90 more"
    (short,) = in_short([", ".join(f"img_{number}" for number in range(508))])
    assert len(short) < 250
    assert short.startswith("img_0, img_1")
    assert short.endswith(" …")


def test_a_page_lists_them_and_links_the_rest():
    html = problem_list("2 problems", [Problem("a.txt:1", "<odd>"), Problem("", "b")], "problems.txt")
    assert '<summary>2 problems <a href="problems.txt">problems.txt</a></summary>' in html
    assert "<li>a.txt:1: &lt;odd&gt;</li>\n<li>b</li>" in html
    assert problem_list("no problems", []) == ""
    assert "… and 9 more" in problem_list("many", [*[Problem("a", "x")] * (MOST_LISTED + 6), Problem("a", "odd", 3)])
