"""The old wire's routes about recommended questions, and the one that counts a tap."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from kb_service.api.dependencies import ContextDep, ReaderDep, WriterDep
from kb_service.schemas import Envelope, QuestionItem, Questions, SaveQuestion
from servicekit.errors import EnvelopeRoute

router = APIRouter(prefix="/recommend", tags=["Recommend"], route_class=EnvelopeRoute)
taps = APIRouter(prefix="/recommend", tags=["Recommend"])


@router.get("/question", summary="获取推荐问题")
async def recommend_questions(
    context: ContextDep,
    caller: ReaderDep,
    num: int,
    kb_name: Annotated[str | None, Query(max_length=255)] = None,
) -> Questions:
    picked = await context.questions.pick(caller, num, kb_name)
    return Questions(data=[QuestionItem.of(question) for question in picked])


@router.post("/question", summary="新增或修改推荐问题")
async def save_question(body: SaveQuestion, context: ContextDep, caller: WriterDep) -> Envelope:
    done = await context.questions.save(caller, body.question_id, body.query, body.kb_name)
    return Envelope(data=done)


@taps.post("/question/{question_id}/tap", status_code=204, summary="记录推荐问题被点击一次")
async def tap_question(
    question_id: Annotated[int, Path(ge=1, lt=2**63)], context: ContextDep, caller: ReaderDep
) -> None:
    await context.questions.tap(caller, question_id)
