import pytest

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.named import named_value, named_values


def test_a_value_has_the_name_before_the_first_equals_sign() -> None:
    assert named_value("--exclude", "user=a=b", "FIELD=VALUE", str) == ("user", "a=b")


def test_where_names_may_hold_equals_signs_the_last_one_counts() -> None:
    assert named_value("--anchor", "m=1=1000.5", "MODEL=RATING", float, last=True) == ("m=1", 1000.5)


@pytest.mark.parametrize("text", ["eu", "=2", "eu=", "eu=two", "=", ""])
def test_another_form_is_an_error_that_shows_the_right_one(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        named_value("--weight", text, "NAME=TIMES", float, hint="`--weight eu=2.5`")
    assert raised.value.message == f"`--weight {text}` is not `NAME=TIMES`"
    assert raised.value.hint == "`--weight eu=2.5`"


def test_a_name_in_brackets_may_be_missing() -> None:
    assert named_value("--chat-loss", "all", "[SOURCE=]LOSS", str) == ("", "all")
    assert named_value("--chat-loss", "en=all", "[SOURCE=]LOSS", str) == ("en", "all")
    with pytest.raises(UsageError, match="is not"):
        named_value("--chat-loss", "=all", "[SOURCE=]LOSS", str)


def test_values_come_by_name_and_a_name_comes_once() -> None:
    assert named_values("--weight", ["a=1", "b=2"], "NAME=TIMES", int) == {"a": 1, "b": 2}
    with pytest.raises(UsageError, match="`--weight` is given twice for `a`"):
        named_values("--weight", ["a=1", "a=2"], "NAME=TIMES", int)
    with pytest.raises(UsageError, match=r"`--chat-loss` is given twice$"):
        named_values("--chat-loss", ["all", "all"], "[SOURCE=]LOSS", str)


def test_what_a_reader_says_of_a_value_is_told() -> None:
    def language(text: str) -> str:
        if not text:
            raise ValueError("a language has a name")
        return text

    assert named_value("--answer-in", "cy=Welsh", "NAME=LANGUAGE", language) == ("cy", "Welsh")
    with pytest.raises(UsageError, match="`--answer-in cy=`: a language has a name"):
        named_value("--answer-in", "cy=", "NAME=LANGUAGE", language)
