"""The files of finished reports: written aside, synced, named by their hash; one folder per job."""

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.reports.job import EVIDENCE, artifact_url

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "png": "image/png",
    EVIDENCE: "application/zip",
}


class ArtifactFolder:
    """Blocking file work on one directory; callers in the event loop use a thread."""

    def __init__(self, root: Path) -> None:
        # Absolute: the workshop process is told these paths.
        self._root = root.absolute()

    def staging(self, job_id: str, attempt: int) -> Path:
        """Where one attempt writes; nothing in it is ever served."""
        path = self._root / job_id / f".attempt-{attempt}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def settle(self, job_id: str, staged: Path, formats: list[str]) -> list[dict[str, Any]]:
        """Move staged files to their final names. Doing it twice, or by two workers, gives the same files."""
        folder = self._root / job_id
        found: list[dict[str, Any]] = []
        for form in formats:
            source = staged / form
            body = source.read_bytes()
            digest = sha256(body).hexdigest()
            with source.open("rb") as opened:
                os.fsync(opened.fileno())
            source.replace(folder / f"{digest}.{form}")
            found.append({"format": form, "bytes": len(body), "sha256": digest, "url": artifact_url(job_id, form)})
        self._sync(folder)
        return found

    def sweep(self, job_id: str, kept: list[dict[str, Any]]) -> None:
        """Leave the artefacts of the row and nothing else, whoever made what."""
        folder = self._root / job_id
        names = {f"{artifact['sha256']}.{artifact['format']}" for artifact in kept}
        for path in folder.iterdir() if folder.exists() else ():
            if path.name in names:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def clear_staging(self, job_id: str, attempt: int) -> None:
        shutil.rmtree(self._root / job_id / f".attempt-{attempt}", ignore_errors=True)

    def path(self, job_id: str, artifact: dict[str, Any]) -> Path:
        return self._root / job_id / f"{artifact['sha256']}.{artifact['format']}"

    def remove(self, job_id: str) -> None:
        shutil.rmtree(self._root / job_id, ignore_errors=True)

    def _sync(self, folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
