"""What docs/workflows.md shows works as it shows it."""

from tests.test_docs import blocks


def test_the_example_prints_what_the_page_says(run_python):
    program, elsewhere = blocks("docs/workflows.md", "python")
    (printed,) = blocks("docs/workflows.md", "text")
    assert run_python(program, TOKEN_CALC_STORAGE_PATH="example.db") == printed
    assert run_python(elsewhere, TOKEN_CALC_STORAGE_PATH="other.db").strip() == "1"
