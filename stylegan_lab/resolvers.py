"""What configs can ask for beside their own values: `${domains_in:FOLDER}`, the names of the domains in a folder."""

from omegaconf import OmegaConf


def domains_in(root: str | None, place: int | None = None) -> list[str] | str | None:
    """All, or the one at a place; nothing where there is no such root."""
    from stylegan_lab.data.folders.tree import domains_in  # brings torch

    found = domains_in(root)
    return found if place is None else found[place] if place < len(found) else None


OmegaConf.register_new_resolver("domains_in", domains_in, replace=True)
