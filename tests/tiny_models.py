"""Models of a few kilobytes, made by the libraries that make large ones. Each is made once in a process."""

import math
import operator
import struct
import tempfile
from functools import cache
from pathlib import Path

TEXT = "the cat sat on the mat and the dog sat on the log\n"


@cache
def folder():
    made = tempfile.TemporaryDirectory(prefix="tiny_models-")
    folder.keep = made  # deleted with the process
    return Path(made.name)


@cache
def sentencepiece_model():
    """A SentencePiece model of 18 pieces."""
    import sentencepiece

    (folder() / "text.txt").write_text(TEXT * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder() / "text.txt"), model_prefix=str(folder() / "pieces"), vocab_size=18, minloglevel=2
    )
    return str(folder() / "pieces.model")


@cache
def tokenizer_folder():
    """A folder with a byte-level BPE tokenizer that adds <s> and </s> and takes at most 64 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([TEXT] * 50, trainer)
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return _saved(made, "tokenizer", unk_token="<unk>", bos_token="<s>", eos_token="</s>", model_max_length=64)


@cache
def words_folder(words=100, added=0):
    """A folder with a tokenizer whose words are w0, w1, … and whose last one ends a document."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    names = [f"w{at}" for at in range(words - 1)]
    made = Tokenizer(models.WordLevel({name: at for at, name in enumerate([*names, "<eos>"])}, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_tokens([f"a{at}" for at in range(added)])
    return _saved(made, f"words-{words}-{added}", unk_token="w0", eos_token="<eos>")


@cache
def sentence_model_folder(pooling=None, normalize=True):
    """A folder with a transformer of 16 dimensions; with `pooling`, one of sentence-transformers, for 8 tokens."""
    import json
    import shutil

    import torch
    from transformers import BertConfig, BertModel

    made = folder() / f"sentences-{pooling}-{normalize}"
    shutil.copytree(tokenizer_folder(), made)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(made)
    if pooling is not None:
        modules = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
        listed = [
            {"type": f"sentence_transformers.models.{one}", "path": "" if one != "Pooling" else "1_Pooling"}
            for one in modules
        ]
        (made / "modules.json").write_text(json.dumps(listed))
        (made / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 8}))
        (made / "1_Pooling").mkdir()
        (made / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    return str(made)


def _saved(tokenizer, name, **settings):
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **settings).save_pretrained(folder() / name)
    return str(folder() / name)


WORDS = {"</s>": (0.0, 0.0), "good": (2.0, -1.0), "fine": (1.0, 0.0), "bad": (-2.0, 1.5)}
LABELS = {"__label__hq": (1.5, 0.5), "__label__cc": (-1.0, 0.25), "__label__eng_Latn": (0.1, -2.0)}


@cache
def fasttext_model():
    """A supervised fastText model of four words, three labels and two dimensions."""
    path = folder() / "tiny.bin"
    write_fasttext(path, dict.fromkeys(WORDS, 9), dict.fromkeys(LABELS, 9), [*WORDS.values()], [*LABELS.values()])
    return str(path)


def write_fasttext(path, words, labels, matrix, outputs, *, loss=3, version=12, ngrams=1, bucket=0, parts=(0, 0)):
    """Write a model as the format says: words and labels with how often they were seen, then their vectors."""
    dim = len(matrix[0])
    settings = [dim, 5, 5, 1, 5, ngrams, loss, 3, bucket, *parts, 100]  # the third from the end are the parts of words
    made = struct.pack("<2i12id", 793712314, version, *settings, 1e-4)
    made += struct.pack("<3i2q", len(words) + len(labels), len(words), len(labels), 100, -1)
    for kind, names in enumerate((words, labels)):
        made += b"".join(name.encode() + struct.pack("<xqb", seen, kind) for name, seen in names.items())
    for rows in (matrix, outputs):
        values = [value for row in rows for value in row]
        made += struct.pack(f"<?2q{len(values)}f", False, len(rows), dim, *values)
    path.write_bytes(made)


def fasttext_probabilities(words):
    """What that model must answer: a softmax over labels of the mean of the words' vectors."""
    known = [WORDS[word] for word in [*words, "</s>"] if word in WORDS]
    mean = [sum(values) / len(known) for values in zip(*known)]
    powers = {label: math.exp(sum(map(operator.mul, mean, row))) for label, row in LABELS.items()}
    return {label: power / sum(powers.values()) for label, power in powers.items()}


@cache
def histograms():
    """A folder in which HistogramFilter finds the characters of English."""
    place = folder() / "histograms" / "checkpoint" / "edunov" / "cc60_multilingual" / "clean_hists"
    place.mkdir(parents=True)
    (place / "en").write_text("".join(f"{character} 1\n" for character in "abc]"))
    return str(folder())


@cache
def image_models_folder(dimensions=768):
    """A folder as `model_dir` is: CLIP with one thin layer, and both heads, all with random weights."""
    import torch
    from safetensors.torch import save_file

    from nemo_curator.models.aesthetics import MLP
    from nemo_curator.models.nsfw import NSFWModel

    made = folder() / f"images-{dimensions}"
    clip_folder(made / "openai" / "clip-vit-large-patch14", dimensions)
    torch.manual_seed(1)
    (head := made / "ttj" / "sac-logos-ava1-l14-linearMSE").mkdir(parents=True)
    save_file(MLP().state_dict(), head / "model.safetensors")
    (other := made / "laion" / "clip-autokeras-binary-nsfw").mkdir(parents=True)
    nsfw = NSFWModel()
    nsfw.norm.variance.fill_(1 / dimensions)
    torch.save(nsfw.state_dict(), other / "clip_autokeras_binary_nsfw.pth")
    return str(made)


def clip_folder(made, dimensions=768):
    """Write a CLIP whose images are 32 by 32, in four patches, with the recipe and the tokenizer of the large one."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    _image_recipe(made, image_processor_type="CLIPImageProcessor", size={"shortest_edge": 32}, crop_size=32)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    CLIPModel(
        CLIPConfig(
            text_config={
                **sizes,
                "vocab_size": 400,
                "max_position_embeddings": 12,
                "eos_token_id": 2,
                "pad_token_id": 2,
            },
            vision_config={**sizes, "image_size": 32, "patch_size": 16},
            projection_dim=dimensions,
        )
    ).save_pretrained(made)
    return made


@cache
def siglip_folder():
    """A SigLIP of 16 dimensions, which squeezes images into 32 by 32."""
    import torch
    from transformers import SiglipConfig, SiglipModel

    made = folder() / "siglip"
    _image_recipe(
        made,
        image_processor_type="SiglipImageProcessor",
        size={"height": 32, "width": 32},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config={**sizes, "vocab_size": 400, "max_position_embeddings": 12, "pad_token_id": 2},
        vision_config={**sizes, "image_size": 32, "patch_size": 16},
    )
    SiglipModel(config).save_pretrained(made)
    return str(made)


def _image_recipe(made, **settings):
    import json
    import shutil

    from transformers import PreTrainedTokenizerFast

    shutil.copytree(tokenizer_folder(), made)
    PreTrainedTokenizerFast.from_pretrained(made, pad_token="</s>").save_pretrained(made)
    (made / "preprocessor_config.json").write_text(json.dumps(settings))
