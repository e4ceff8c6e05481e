"""The OmegaConf resolver `${domains_in:FOLDER}`: the names of the domains in a folder."""

from omegaconf import OmegaConf


def domains_in(root: str | None, index: int | None = None) -> list[str] | str | None:
    """Return all domains in a folder, or the one at `index`. A missing folder has no domains."""
    from stylegan_lab.data.folders.tree import domains_in  # imports torch

    found = domains_in(root)
    return found if index is None else found[index] if index < len(found) else None


OmegaConf.register_new_resolver("domains_in", domains_in, replace=True)
