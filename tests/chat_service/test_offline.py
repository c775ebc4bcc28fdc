"""The extractive answerer."""

from chat_service import offline


def test_quotes_the_fitting_sentence_of_the_right_passage() -> None:
    passages = ["Our office opens at nine. Lunch is at noon.", "Parking costs 5.50 euros a day."]
    label, *quoted = offline.extract("How much does parking cost?", passages)
    assert label.startswith("[Offline")
    assert quoted == ["Parking costs 5.50 euros a day. [2]\n\n"]


def test_is_deterministic_and_in_order() -> None:
    passages = ["退货须在七天内提出。退款三天到账。", "退货运费由买家承担。会员免运费。"]
    first = offline.extract("退货和退款的规定", passages)
    assert first == offline.extract("退货和退款的规定", passages)
    marks = [piece.strip()[-3:] for piece in first[1:]]
    assert marks == sorted(marks)
    assert set(marks) <= {"[1]", "[2]"}


def test_a_title_is_no_answer_but_a_row_of_a_table_is() -> None:
    titled = ["年假怎么申请？\n登录人事系统后填写申请单。主管在两天内审批。"]
    assert offline.extract("年假怎么申请", titled)[1].startswith("登录人事系统")
    row = ["部门: 财务部\n电话: 8017"]
    assert "财务部" in "".join(offline.extract("财务部的电话", row))


def test_always_quotes_something() -> None:
    assert len(offline.extract("？？？", ["只有这一句"])) == 2


def test_a_very_long_sentence_is_cut() -> None:
    assert len(offline.extract("长", ["长" * 5000])[1]) < 320
