"""MiniLM against `transformers.BertModel`, and WordPiece against `tokenizers`."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput
from diffprog.models import load, minilm
from diffprog.models.wordpiece import cut, pieces, tokenize, vocabulary, words
from tests.models.pictures import relative_error

pytestmark = pytest.mark.usefixtures("compiled_plainly")

SMALL = {"vocabulary": len(vocabulary()), "width": 24, "depth": 2, "heads": 3, "wide": 48}
SENTENCES = ["a person wearing sunglasses", "An umbrella, in the RAIN!", "dog"]
# Two correct float32 networks of six layers differ by some 1e-6.
MOST_RELATIVE_ERROR = 1e-5


def published_network(**config):
    """BERT as Hugging Face has it, initialized at random; the exact GELU is its default."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(layer_norm_eps=1e-12, attn_implementation="eager", **config)
    return transformers.BertModel(config).eval()


def small_twin():
    pytest.importorskip("torch").manual_seed(0)
    twin = published_network(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=48,
        initializer_range=0.3,
    )
    for name, parameter in twin.named_parameters():
        if "LayerNorm" in name:  # these begin as 1 and 0, which would hide a swap
            parameter.data.uniform_(0.5, 1.5)
    return twin


def tensors_of(twin):
    return {name: tensor.numpy() for name, tensor in twin.state_dict().items()}


def sentence_vectors(twin, ids, mask):
    """Mean of the tokens' vectors under the mask, normalized, as Sentence-BERT pools."""
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        last = twin(torch.from_numpy(ids).long(), torch.from_numpy(mask)).last_hidden_state.numpy()
    mean = (last * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def test_sentences_agree_with_transformers_at_random_weights():
    twin = small_twin()
    ours = minilm.to_encoder("small", "Small", minilm.MiniLM(**SMALL), minilm.convert(tensors_of(twin)))
    expected = sentence_vectors(twin, *tokenize(SENTENCES, 256))
    assert relative_error(np.asarray(ours(SENTENCES)), expected) <= MOST_RELATIVE_ERROR


def test_a_sentence_does_not_depend_on_those_beside_it():
    ours = minilm.to_encoder("s", "S", minilm.MiniLM(**SMALL), minilm.convert(tensors_of(small_twin())))
    many = [*SENTENCES, *(f"a thing of the number {number}" for number in range(80))]  # more than one block
    alone = np.concatenate([np.asarray(ours([sentence])) for sentence in many[:3]])
    # Padding is masked, so only the order of sums differs.
    np.testing.assert_allclose(np.asarray(ours(many))[:3], alone, atol=1e-6)
    assert ours(many).shape == (83, 24)


def test_the_tanh_form_of_gelu_is_caught(monkeypatch):
    twin = small_twin()
    monkeypatch.setattr(minilm.rules, "gelu", lambda x, approximate: jax.nn.gelu(x, approximate=True))
    ours = minilm.to_encoder("s", "S", minilm.MiniLM(**SMALL), minilm.convert(tensors_of(twin)))
    expected = sentence_vectors(twin, *tokenize(SENTENCES, 256))
    assert relative_error(np.asarray(ours(SENTENCES)), expected) > MOST_RELATIVE_ERROR


def test_a_missing_tensor_is_named():
    tensors = minilm.convert(tensors_of(small_twin()))
    del tensors["layer/1/query/bias"]
    with pytest.raises(BadFile, match="layer/1/query/bias"):
        minilm.to_encoder("s", "S", minilm.MiniLM(**SMALL), tensors)


def published_tokenizer():
    tokenizers = pytest.importorskip("tokenizers")
    whole = tokenizers.Tokenizer(tokenizers.models.WordPiece(dict(vocabulary()), unk_token="[UNK]"))
    whole.normalizer = tokenizers.normalizers.BertNormalizer()
    whole.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return whole


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a person wearing sunglasses",
            "Crème brûlée, naïve façade",
            "don't $5.99 x^2 `code` ~",
            "日本語 text",
        ),
        *(
            "two\tlines\nhere\u00a0there",
            "ﬁne İstanbul ß",
            "a\u0000b\u200bc\ufffdd",
            "x" * 101,
            "e\u0301cole",
            "😀 hi",
        ),
    ],
)
def test_pieces_agree_with_the_published_tokenizer(text):
    assert pieces(text) == published_tokenizer().encode(text).tokens


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=30))
def test_any_text_agrees_with_the_published_tokenizer(text):
    # Characters that newer Unicode tables of Python know and those of the library may not are left out.
    if all(ord(character) < 0x3000 and character.isprintable() for character in text):
        assert pieces(text) == published_tokenizer().encode(text).tokens


def test_words_are_cut_into_the_longest_pieces():
    assert cut("unaffable", {"un": 0, "##aff": 1, "##able": 2, "##a": 3}) == ["un", "##aff", "##able"]
    assert cut("unaffable", {"un": 0}) == ["[UNK]"]
    assert list(words("Été-2024!")) == ["ete", "-", "2024", "!"]


def test_sentences_are_padded_and_marked():
    ids, mask = tokenize(["dog", "a red dog"], 8)
    assert ids.tolist() == [[101, 3899, 102, 0, 0], [101, 1037, 2417, 3899, 102]]
    assert mask.sum(1).tolist() == [3, 5]


@pytest.mark.parametrize("text, said", [("", "at least one word"), ("\u200b ", "at least one word")])
def test_an_empty_sentence_is_refused(text, said):
    with pytest.raises(InvalidInput, match=said):
        tokenize([text], 8)


def test_a_long_sentence_is_refused_with_its_length():
    with pytest.raises(InvalidInput, match="a sentence of 302 tokens"):
        tokenize(["dog " * 300], minilm.MOST_TOKENS)


@pytest.mark.network
def test_sentences_agree_with_transformers_at_the_real_weights():
    torch = pytest.importorskip("torch")
    twin = published_network(
        num_hidden_layers=6, hidden_size=384, num_attention_heads=12, intermediate_size=1536
    )
    with weights.fetch(minilm.SOURCE) as file:
        published = {name: torch.from_numpy(np.array(t)) for name, t in weights.read(file).items()}
    twin.load_state_dict(published, strict=False)
    expected = sentence_vectors(twin, *tokenize(SENTENCES, 256))
    error = relative_error(np.asarray(load("minilm")(SENTENCES)), expected)
    print(f"MiniLM, real weights: relative error {error:.1e}")
    assert error <= MOST_RELATIVE_ERROR


@pytest.mark.network
def test_sentences_that_mean_alike_are_near():
    near = np.asarray(load("minilm")(["a person wearing sunglasses", "sunglasses", "a dog"]))
    assert near[0] @ near[1] > 0.6 > 0.3 > near[0] @ near[2]
