"""Problems and other words for people."""

from dbnet_jax.messages import MOST_OF_A_KIND, Problem, Problems, count_problems, first_lines, plural, summary_line


def test_counts_read_as_words():
    assert [plural(count, "picture") for count in (0, 1, 2000)] == ["0 pictures", "1 picture", "2,000 pictures"]
    assert summary_line(1, 2) == "1 picture skipped, 2 problems in the data"


def test_a_terminal_gets_the_first_and_no_endless_line():
    problems = [Problem(f"a.txt:{number}", "odd") for number in range(30)]
    lines = [f"a.txt:{number}: odd" for number in range(30)]
    assert first_lines(problems[:20], "in x") == lines[:20]
    assert first_lines(problems, "in x/problems.txt") == [*lines[:20], "… and 10 more in x/problems.txt"]
    more = Problem("a.txt", "… and 80 more problems", 80)
    assert first_lines([*problems, more])[-1] == "… and 90 more"
    (short,) = first_lines([Problem("", ", ".join(f"img_{number}" for number in range(508)))])
    assert len(short) < 250
    assert short.startswith("img_0, img_1")
    assert short.endswith(" …")


def test_a_collector_lists_each_problem_once_and_counts_the_others_of_a_kind():
    problems = Problems()
    for number in range(MOST_OF_A_KIND + 3):
        problems.add(Problem(f"a.txt:{number}", "odd"), "odd lines")
        problems.add(Problem(f"a.txt:{number}", "dark"))
    problems.extend([Problem("a.txt:0", "odd")], "odd lines")
    listed = problems.listed()
    assert [str(listed[0]), str(listed[MOST_OF_A_KIND])] == ["a.txt:0: odd", "… and 3 more: odd lines"]
    assert len(listed) == 2 * MOST_OF_A_KIND + 4
    assert count_problems(listed) == 2 * MOST_OF_A_KIND + 6


def test_an_error_that_begins_with_its_place_does_not_repeat_it():
    assert str(Problem.at("a.jpg", ValueError("a.jpg: is damaged"))) == "a.jpg: is damaged"
    assert str(Problem.at("a.jpg", "gt_a.txt: is damaged")) == "a.jpg: gt_a.txt: is damaged"
