"""Makes files of every format with the programs that write them: `make.py FOLDER`. Prints a line for each, with the format that it
must be told for: `FORMAT\tFILE\tPROGRAM`. A file that only a missing program writes is left out, and the line says so.

The files have names that say nothing. Sources of the layouts that are made by hand: `nemo/core/connectors/save_restore_connector.py`
of NeMo 2.5 (a tar of `model_config.yaml` and `model_weights.ckpt`), and the legacy loader in `torch/serialization.py` of PyTorch 2
(a tar of `sys_info`, `pickle`, `storages` and `tensors`)."""

import gzip
import io
import pickle
import sys
import tarfile
import zipfile
from pathlib import Path

import cloudpickle
import joblib
import numpy
import torch

OUT = Path(sys.argv[1])


class Calls:
    """An object whose pickle calls a function."""

    def __reduce__(self):
        return print, ("loaded",)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.linear(x)


def tell(kind, name, program, write):
    path = OUT / name
    try:
        write(path)
    except ImportError as error:
        print(f"missing\t{name}\t{program}: {error}")
        return
    print(f"{kind}\t{name}\t{program}")


def bytes_of(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def keras_model():
    import keras

    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(2)])


def save_keras(path, name):
    model = keras_model()
    written = path.with_name(name)
    model.save(written)
    written.rename(path)


def save_dill(path):
    import dill

    path.write_bytes(dill.dumps(lambda x: x))


def main():
    model = Model()
    state = model.state_dict()
    weights = bytes_of(lambda file: torch.save(state, file))
    tell("pickle", "torch-save", "torch.save", lambda path: path.write_bytes(weights))
    tell("pickle", "torch-save-module", "torch.save of a module", lambda path: torch.save(model, path))
    for protocol in (0, 1, 2, 3, 4, 5):
        tell(
            "pickle",
            f"torch-legacy-{protocol}",
            f"torch.save before 1.6, protocol {protocol}",
            lambda path: torch.save(state, path, _use_new_zipfile_serialization=False, pickle_protocol=protocol),
        )
    script = torch.jit.script(model)
    tell("torchscript", "torch-jit", "torch.jit.save", lambda path: torch.jit.save(script, str(path)))
    tell("torchscript", "torch-trace", "torch.jit.trace", lambda path: torch.jit.save(torch.jit.trace(model, torch.zeros(1, 4)), str(path)))
    program = torch.export.export(model, (torch.zeros(1, 4),))

    def export(path):
        written = path.with_suffix(".pt2")
        torch.export.save(program, written)
        written.rename(path)

    # It keeps a sample of its inputs as `torch.save` does.
    tell("pickle", "torch-export", "torch.export.save", export)
    tell("pickle", "torch-first-tar", "PyTorch before 0.1.10, by its layout", lambda path: tar(path, [
        ("./", None), ("sys_info", pickle.dumps({}, 2)), ("pickle", pickle.dumps(Calls(), 2)), ("storages", b""), ("tensors", b""),
    ]))
    nemo = [("./", None), ("./model_config.yaml", b"target: nemo.x\n"), ("./model_weights.ckpt", weights)]
    tell("pickle", "nemo", "NeMo, by its layout", lambda path: tar(path, nemo))
    tell("archive", "nemo-gzip", "NeMo, compressed", lambda path: tar(path, [("a.bin", bytes(range(256)) * 999), *nemo], "w:gz"))
    objects = numpy.array([Calls(), {}], dtype=object)
    numbers = numpy.arange(6, dtype="<f4")
    records = numpy.zeros(2, dtype=[("Offset", "<f4"), ("name", "S4")])
    tell("pickle", "numpy-objects", "numpy.save(allow_pickle)", lambda path: path.write_bytes(bytes_of(lambda file: numpy.save(file, objects, allow_pickle=True))))
    tell("other", "numpy-numbers", "numpy.save", lambda path: path.write_bytes(bytes_of(lambda file: numpy.save(file, numbers))))
    tell("other", "numpy-records", "numpy.save of records", lambda path: path.write_bytes(bytes_of(lambda file: numpy.save(file, records))))
    for save in (numpy.savez, numpy.savez_compressed):
        for kind, array in (("pickle", objects), ("other", numbers)):
            name = f"{save.__name__}-{kind}"
            tell(kind, name, f"numpy.{save.__name__}", lambda path: path.write_bytes(bytes_of(lambda file: save(file, a=numbers, b=array))))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for what, value in (("call", Calls()), ("data", {"a": [1, 2.5, "x", None, True], "b": (b"y", {3})}), ("list", list(range(500)))):
            tell("pickle", f"pickle-{protocol}-{what}", f"pickle, protocol {protocol}", lambda path: path.write_bytes(pickle.dumps(value, protocol)))
    tell("pickle", "cloudpickle", "cloudpickle", lambda path: path.write_bytes(cloudpickle.dumps(lambda x: x)))
    tell("pickle", "dill", "dill", save_dill)
    tell("pickle", "joblib", "joblib", lambda path: joblib.dump({"a": numbers}, path))
    tell("pickle", "joblib-zlib", "joblib, compressed", lambda path: joblib.dump({"a": numbers}, path, compress=3))
    tell("pickle", "joblib-gzip", "joblib, gzip", lambda path: joblib.dump({"a": numbers}, path, compress=("gzip", 3)))
    for method in ("bz2", "xz", "lzma"):
        tell("archive", f"joblib-{method}", f"joblib, {method}", lambda path: joblib.dump({"a": numbers}, path, compress=(method, 3)))
    tell("pickle", "gzip-pickle", "gzip of a pickle", lambda path: path.write_bytes(gzip.compress(pickle.dumps(Calls()))))
    tell("other", "gzip-text", "gzip of a text", lambda path: path.write_bytes(gzip.compress(b"a text\n" * 99)))
    tell("keras", "keras", "Keras", lambda path: save_keras(path, "model.keras"))
    tell("hdf5", "keras-hdf5", "Keras, HDF5", lambda path: save_keras(path, "model.h5"))

    def keras_layout(path):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in (("metadata.json", "{}"), ("config.json", "{}"), ("model.weights.h5", "\x89HDF")):
                archive.writestr(name, data)

    tell("keras", "keras-layout", "Keras, by its layout", keras_layout)
    tell("other", "zip", "zipfile", lambda path: path.write_bytes(bytes_of(lambda file: zip_of(file))))
    tell("text", "text", "a text", lambda path: path.write_text("[PAD]\n[UNK]\n"))


def zip_of(file):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "text\n" * 99)
        archive.writestr("b.json", "{}")


main()
