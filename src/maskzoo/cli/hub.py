"""`maskzoo push` and `maskzoo pull`: models to and from Hugging Face repositories."""

from __future__ import annotations

from typing import Annotated

import typer

from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stdout, print_json

__all__ = ["pull_model", "push_model"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def push_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run's folder (its best weights), or a .safetensors file.")],
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="The repository; it is made if there is none.")],
    public: Annotated[
        bool, typer.Option("--public", help="A new repository can be read by everybody, not by you alone.")
    ] = False,
    new_card: Annotated[
        bool, typer.Option("--new-card", help="Write the model card anew where the repository has one.")
    ] = False,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="The commit's message.")] = None,
    json: Json = False,
) -> None:
    """Put a model into a Hugging Face repository: weights, config, model card.

    The card says what the network is, what AP was measured and on what, where
    the weights come from, and how to use them. Log in first: hf auth login, or
    set HF_TOKEN.

    Examples:
      maskzoo push runs/mine user/apples
      maskzoo push mine.safetensors user/apples --public --message 'More photos'
    """
    from maskzoo.publishing.push import push

    with show_progress() as show:
        made = push(model, repository, public=public, new_card=new_card, message=message, on_progress=show)
    if json:
        print_json(made.to_dict())
        return
    console = open_stdout()
    console.print(f"Pushed {', '.join(made.files)} to {made.address}, commit {made.commit}", soft_wrap=True)
    if made.kept_card:
        console.print("The card that was there stays; --new-card writes it anew", soft_wrap=True)
    console.print(f"Others get it by: maskzoo pull {made.repository}@{made.commit}", soft_wrap=True)


def pull_model(
    repository: Annotated[str, typer.Argument(metavar="USER/NAME[@REVISION]", help="A revision is a tag, branch or commit.")],
    json: Json = False,
) -> None:
    """Fetch a model from a Hugging Face repository, or the newest state of it.

    Wherever a verb takes a MODEL, hf://user/name[@revision] is what was pulled;
    it is pulled at the first use. Commit and SHA-256 are kept, and a revision
    that was named is never replaced by another content.

    Examples:
      maskzoo pull user/apples
      maskzoo pull user/apples@v1
      maskzoo predict hf://user/apples@v1 photos
    """
    from maskzoo.zoo.hub import pull

    with show_progress() as show:
        found = pull(repository, on_progress=show)
    if json:
        print_json(found.to_dict())
        return
    console = open_stdout()
    console.print(f"{'Pulled' if found.fetched else 'Here already'}: {found.path}", soft_wrap=True)
    console.print(f"commit {found.commit}, SHA-256 {found.sha256}", soft_wrap=True)
