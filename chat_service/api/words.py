"""`/admin/word-lists`: words that are blocked, masked or replaced; `/admin/word-hits`: where."""

from typing import Annotated

from fastapi import APIRouter, Path

from chat_service.api.dependencies import ActorDep, Page, PageSize, kept
from chat_service.store import WordStore
from chat_service.word_lists import WordLists
from chat_service.word_schemas import (
    HitItem,
    HitItems,
    NewWordList,
    WordListChanges,
    WordListItem,
    WordListItems,
    WordListWords,
    WordsText,
)
from servicekit.identity import require_scope

router = APIRouter(prefix="/admin", tags=["administration"], dependencies=[require_scope("admin")])
ListsDep = Annotated[WordLists, kept("word_lists")]
StoreDep = Annotated[WordStore, kept("words")]
ListId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/word-lists", summary="Word lists, by name, without their words")
async def list_word_lists(
    lists: ListsDep, page: Page = 1, page_size: PageSize = 50
) -> WordListItems:
    found = lists.listed
    items = [WordListItem.of(one) for one in found[(page - 1) * page_size : page * page_size]]
    return WordListItems(items=items, total=len(found), page=page, page_size=page_size)


@router.post("/word-lists", status_code=201, summary="Add a word list, which acts at once")
async def add_word_list(body: NewWordList, lists: ListsDep, by: ActorDep) -> WordListItem:
    return WordListItem.of(await lists.add(by, body.entity()))


@router.get("/word-lists/{list_id}", summary="A word list without its words")
async def get_word_list(list_id: ListId, lists: ListsDep) -> WordListItem:
    return WordListItem.of(lists.find(list_id))


@router.get("/word-lists/{list_id}/words", summary="Words of a list")
async def list_words(
    list_id: ListId, lists: ListsDep, page: Page = 1, page_size: PageSize = 50
) -> WordListWords:
    words = lists.find(list_id).words
    shown = list(words[(page - 1) * page_size : page * page_size])
    return WordListWords(items=shown, total=len(words), page=page, page_size=page_size)


@router.patch("/word-lists/{list_id}", summary="Change a word list")
async def change_word_list(
    list_id: ListId, body: WordListChanges, lists: ListsDep, by: ActorDep
) -> WordListItem:
    return WordListItem.of(await lists.change(by, list_id, body.model_dump(exclude_unset=True)))


@router.post("/word-lists/{list_id}/import", summary="Add words to a list, one a line")
async def import_words(
    list_id: ListId, body: WordsText, lists: ListsDep, by: ActorDep
) -> WordListItem:
    return WordListItem.of(await lists.import_text(by, list_id, body.text))


@router.delete("/word-lists/{list_id}", status_code=204, summary="Delete a word list")
async def delete_word_list(list_id: ListId, lists: ListsDep, by: ActorDep) -> None:
    await lists.remove(by, list_id)


@router.get("/word-hits", summary="Where words of the lists were found, the newest first")
async def list_word_hits(store: StoreDep, page: Page = 1, page_size: PageSize = 50) -> HitItems:
    found, total = await store.hits(start=(page - 1) * page_size, limit=page_size)
    items = [HitItem.model_validate(one) for one in found]
    return HitItems(items=items, total=total, page=page, page_size=page_size)
