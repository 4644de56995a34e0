"""Makes tiny models as Transformers, sentence-transformers, PEFT and diffusers save them, and loads them as a user does.

    python layouts make LAYOUT FOLDER        # writes FOLDER/repo, and prints what the model computes
    python layouts load LAYOUT FOLDER REPO   # prints what the model of REPO computes, or why it cannot be loaded; again for more

`make` reads the numbers before it puts other files beside the model. Both print a JSON document in a line: the numbers by name,
or the `error`. What a repository needs beside itself, such as the base model of an adapter, lies in FOLDER.
"""
import json
import pathlib
import sys

import torch

import encoders
import language
import pipelines
import sentences

SEED = 12

LAYOUTS = {
    "llama": language.Llama(),
    "llama-with-all": language.LlamaWithAll(),
    "llama-precisions": language.LlamaPrecisions(),
    "bert": encoders.Bert(),
    "bert-vocabulary": encoders.BertWithoutTokenizerJson(),
    "sentence-transformers": sentences.SentenceTransformer(),
    "static-embedding": sentences.StaticEmbedding(),
    "router": sentences.Router(),
    "clip": encoders.Clip(),
    "whisper": encoders.Whisper(),
    "marian": encoders.Marian(),
    "remote-code": language.RemoteCode(),
    "adapter": language.Adapter(),
    "stable-diffusion": pipelines.StableDiffusion(),
    "stable-diffusion-precisions": pipelines.StableDiffusionPrecisions(),
    "stable-diffusion-half": pipelines.StableDiffusionHalf(),
    "component": pipelines.Component(),
    "pipeline-lora": pipelines.PipelineLora(),
    "sharded-transformer": pipelines.ShardedTransformer(),
}


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    verb, name, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    layout = LAYOUTS[name]
    if verb == "make":
        repo = folder / "repo"
        repo.mkdir(parents=True)
        layout.make(folder, repo)
        tell(layout, folder, repo)
        layout.put_beside(repo)
    else:
        for repo in sys.argv[4:]:
            tell(layout, folder, pathlib.Path(repo))


def tell(layout, folder, repo):
    try:
        numbers = {key: plain(value) for key, value in layout.load(folder, repo).items()}
    except Exception as error:
        numbers = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(numbers), flush=True)


def plain(value):
    """Returns some numbers of a tensor, evenly spaced, or a text as it is."""
    if isinstance(value, str):
        return value
    flat = torch.as_tensor(value).detach().double().flatten()
    return flat[::max(1, len(flat) // 48)].tolist()


if __name__ == "__main__":
    main()
