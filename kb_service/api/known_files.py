"""What an import asks before it sends anything."""

from fastapi import APIRouter

from kb_service.api.dependencies import ContextDep, KnowledgeBaseName, WriterDep
from kb_service.known_files import Fingerprint
from kb_service.source_schemas import FingerprintsBody, KnownNames

router = APIRouter(prefix="/admin/knowledge-bases", tags=["administration"])


@router.post("/{kb_name}/files/known", summary="Which files are there already, byte for byte")
async def known_files(
    kb_name: KnowledgeBaseName, body: FingerprintsBody, context: ContextDep, caller: WriterDep
) -> KnownNames:
    kb = context.library.writable(kb_name, caller)
    given = [Fingerprint(file.name, file.size, file.sha256) for file in body.files]
    return KnownNames(known=await context.known_files.among(kb, given))
