"""The page of the rule book says what the records say."""

from tools.write_rulebook import PAGE, page


def test_the_page_is_what_the_records_make_it():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again: python -m tools.write_rulebook"
