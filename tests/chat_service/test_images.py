"""Remote images in answers become links, wherever the tokens are split."""

import pytest

from chat_service.images import ImageFilter, defused

CASES = {
    "看![图](https://evil.test/x.png?q=1)好": "看[图](https://evil.test/x.png?q=1)好",
    "![a[b[c]]\\]](<http://evil.test>)": "[a[b[c]]\\]](<http://evil.test>)",
    "![](//evil.test/x)": "[](//evil.test/x)",
    "![\n图\n](HTTPS://evil.test)": "[\n图\n](HTTPS://evil.test)",
    "![图][r]\n\n[r]: https://evil.test/x.png": "![图][r]\n\n[r] : https://evil.test/x.png",
    "!![a](http://e)![b](http://e)": "[a](http://e)[b](http://e)",
    "![a](&#104;ttps://e)": "[a](&#104;ttps://e)",
    "![a](http&colon;//e)": "[a](http&colon;//e)",
    r"![a](https\://e) ![b](\//e) ![c](/\/e)": r"[a](https\://e) [b](\//e) [c](/\/e)",
    f"![a]({' ' * 40}http://e)": f"[a]({' ' * 40}http://e)",
    "> ![a](\n> http://e)": "> [a](\n> http://e)",
    f"[r]:{' ' * 40}\n> http://e": f"[r] :{' ' * 40}\n> http://e",
    "![a](data:image/png;base64,AA) ![b](https.png)": (
        "![a](data:image/png;base64,AA) ![b](https.png)"
    ),
    "![图](/api/knowledge_base/x.png) 好!": "![图](/api/knowledge_base/x.png) 好!",
    'let v = vec![1, 2]; println!("{}", v[0])': 'let v = vec![1, 2]; println!("{}", v[0])',
    "十天 [1]。见[手册](https://a.test) [2]": "十天 [1]。见[手册](https://a.test) [2]",
    "完了![没有结束": "完了![没有结束",
}


@pytest.mark.parametrize(("text", "shown"), CASES.items())
def test_in_pieces_as_in_one(text: str, shown: str) -> None:
    assert defused(text) == shown
    for length in (1, 2, 3, 7, len(text)):
        images = ImageFilter()
        pieces = [images.feed(text[at : at + length]) for at in range(0, len(text), length)]
        assert "".join(pieces) + images.close() == shown


def test_nothing_waits_that_cannot_be_an_image() -> None:
    images = ImageFilter()
    assert images.feed("好！很好! ") == "好！很好! "
    assert images.feed("x[1") == "x[1"
    assert images.feed("] 对") == "] 对"
    assert images.feed("![" + "长" * 2_000) == "[" + "长" * 2_000
