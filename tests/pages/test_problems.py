"""The list of problems on a page."""

from dbnet_jax.messages import Problem
from dbnet_jax.pages.page import MOST_LISTED, problem_list


def test_a_page_lists_them_and_links_the_rest():
    html = problem_list("2 problems", [Problem("a.txt:1", "<odd>"), Problem("", "b")], "problems.txt")
    assert '<summary>2 problems <a href="problems.txt">problems.txt</a></summary>' in html
    assert "<li>a.txt:1: &lt;odd&gt;</li>\n<li>b</li>" in html
    assert problem_list("no problems", []) == ""
    assert "… and 9 more" in problem_list("many", [*[Problem("a", "x")] * (MOST_LISTED + 6), Problem("a", "odd", 3)])
