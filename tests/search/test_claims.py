"""The language of claims: what is read, and what is said of what is not there."""

import json

import pytest

from evae.errors import UserError
from evae.metrics.base import METRICS, Metric
from evae.search.claims import Comparison, Explained, Known, Stated, parse, together

LABELS = ("EVAE, paper (B = 0.1)", "VAE", "autoencoder", "beta-VAE (beta = 0.1)", "in x < 3 [a] in y", "2 * wide")
KNOWN = Known(LABELS, ("evae", "gaussian"), ("epanechnikov", "gaussian"), ("kernel", "beta"), "lite_b10", "mixture")
BESTS = ("best method evae", "best kernel gaussian")


def one(text: str):
    return parse([text], KNOWN)[0]


@pytest.mark.parametrize(
    ("text", "left", "right", "less", "factor", "metric"),
    [
        ("EVAE, paper < VAE in rec_fd", LABELS[0], "VAE", True, 1, "rec_fd_lite_b10"),
        ("evae, PAPER (b = 0.1)>vae in gen_sharpness", LABELS[0], "VAE", False, 1, "gen_sharpness"),
        ("auto < 0.9 * beta-VAE (beta = 0.1) in elbo_nats", "autoencoder", LABELS[3], True, 0.9, "elbo_nats"),
        ("best evae < best kernel gau in gen_kd", *BESTS, True, 1, "gen_kd_lite_b10"),
        ("best epa < EVAE in rec_psnr_db", "best kernel epanechnikov", LABELS[0], True, 1, "rec_psnr_db"),
        ("in x < 3 [a] in y < VAE in rec_ssim", LABELS[4], "VAE", True, 1, "rec_ssim"),
        ("VAE > in x < 3 in rec_ssim", "VAE", LABELS[4], False, 1, "rec_ssim"),
        ("VAE < auto in xpd_fd", "VAE", "autoencoder", True, 1, "xpd_mixture_fd_lite_b10"),
        ("VAE > auto in knn_accuracy_200", "VAE", "autoencoder", False, 1, "knn_accuracy_200"),
        ("VAE > 2 * wide in rec_ssim", "VAE", "2 * wide", False, 1, "rec_ssim"),
        ("VAE > 2 * 2 * wide in rec_ssim", "VAE", "2 * wide", False, 2, "rec_ssim"),
    ],
)
def test_labels_with_anything_in_them_are_told_from_operators(text, left, right, less, factor, metric):
    claim = one(text)
    assert (claim.left, claim.right, claim.less, claim.factor, claim.metric) == (left, right, less, factor, metric)
    assert claim.text == text


def test_inception_features_have_their_own_names_and_a_metric_needs_no_direction():
    standard = Known(LABELS, (), (), (), "inception")
    assert parse(["VAE < auto in rec_fd"], standard)[0].metric == "rec_fid"
    assert one("VAE < auto in rec_fd").direction == "min"
    with pytest.raises(UserError, match="add one, --densities mixture"):
        parse(["VAE < auto in xpd_fd"], standard)
    METRICS.add("hue", Metric("hue", "images", None, "hue", "", None), written=one)
    try:
        assert one("VAE < auto in gen_hue").direction is None
        with pytest.raises(UserError, match="names a best, but gen_hue has no direction"):
            one("best evae < VAE in gen_hue")
    finally:
        del METRICS.entries["hue"]


def test_an_accuracy_is_claimed_with_any_number_of_labels():
    claim = one("best evae > VAE in knn_accuracy_17")
    assert (claim.metric, claim.direction, claim.left) == ("knn_accuracy_17", "max", BESTS[0])


@pytest.mark.parametrize(("sign", "less"), [("<", True), (">", False)])
def test_a_share_that_a_parameter_explains(sign, less):
    claim = one(f"kernel explains {sign} 0.1 of gen_fd")
    assert claim == Explained(claim.text, "kernel", less, 0.1, "gen_fd_lite_b10", "min")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("EVA, paper < VAE in rec_fd", "unknown configuration in a claim 'EVA, paper'. Did you mean"),
        ("VAE < autoencodr in rec_fd", "Did you mean 'autoencoder'"),
        ("VAE < 0.5 * autoencodr in rec_fd", "'autoencodr'. Did you mean 'autoencoder'"),
        *(
            (f"{claim} in rec_fd", "needs its factor, a number above 0, on the right")
            for claim in ("VAE < 0 * auto", "VAE < -1 * auto", "VAE < 1e400 * auto", "0.9 * VAE > auto")
        ),
        ("best evea < VAE in rec_fd", "Did you mean 'best evae'"),
        ("VAE < auto in rec_psnr", "unknown metric in a claim 'rec_psnr'. Did you mean 'rec_psnr_db'"),
        ("VAE < auto in rec_fid", "unknown metric in a claim 'rec_fid'. Did you mean 'rec_fd'"),
        (
            "best gaussian < VAE in rec_fd",
            "'best gaussian' in the claim 'best gaussian < VAE in rec_fd' may be 'best kernel ",
        ),
        ("best e < VAE in rec_fd", "may be 'best kernel epanechnikov' or 'best method evae': write more of it"),
        ("VAE < VAE in rec_fd", "compares 'VAE' with itself"),
        ("VAE = autoencoder in rec_fd", "cannot be read; write it like"),
        ("VAE < autoencoder", "cannot be read"),
        (" < autoencoder in rec_fd", "cannot be read"),
        ("", "cannot be read"),
        ("kernl explains < 0.1 of gen_fd", "unknown parameter in a claim 'kernl'. Did you mean 'kernel'"),
        ("kernel explains < 10 of gen_fd", "a share between 0 and 1, got 10"),
        ("kernel explains < nan of gen_fd", "a share between 0 and 1, got nan"),
        ("kernel explains < a of gen_fd", "a share between 0 and 1, got a"),
    ],
)
def test_what_is_not_there_is_an_error_that_names_the_nearest(text, said):
    with pytest.raises(UserError) as error:
        parse([text], KNOWN)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["VAE < auto in rec_fd", "auto < VAE in rec_fd"], "contradict each other"),
        (["VAE < auto in rec_fd", "VAE > auto in rec_fd"], "contradict each other"),
        (["VAE < auto in rec_fd", "auto < EVAE in rec_fd", "EVAE < VAE in rec_fd"], "contradict each other"),
        (["beta explains < 0.1 of gen_fd", "beta explains > 0.2 of gen_fd"], "contradict each other"),
        (["VAE < auto in rec_fd", "autoencoder > VAE in rec_fd"], "say the same"),
        (["VAE < 0.5 * auto in rec_fd", "auto > 2 * VAE in rec_fd"], "say the same"),
    ],
)
def test_claims_that_contradict_each_other_or_say_the_same_are_errors(texts, said):
    with pytest.raises(UserError, match=said):
        parse(texts, KNOWN)


def test_what_does_not_contradict_is_taken():
    texts = ["VAE < auto in rec_fd", "auto < EVAE in rec_fd", "VAE < EVAE in rec_fd", "auto < VAE in gen_fd"]
    texts += ["beta explains > 0.1 of gen_fd", "beta explains < 0.2 of gen_fd", "VAE < 0.9 * auto in rec_fd"]
    assert [claim.text for claim in parse(texts, KNOWN)] == texts


def test_what_was_stated_stays_as_it_was_and_new_claims_say_when_they_came():
    first = together([], parse(["VAE < auto in rec_fd"], KNOWN), Stated(None, "s1"))
    kept = [Stated.from_dict(json.loads(json.dumps(stated.to_dict()))) for stated in first]
    assert kept == first and isinstance(first[0].claim, Comparison)
    now = Stated(None, "s2", trials=14, first_seed=1003, first_number=7)
    both = together(kept, parse(["auto > VAE in rec_fd", "kernel explains < 0.1 of gen_fd"], KNOWN), now)
    assert [(s.session, s.trials, s.first_seed, s.first_number) for s in both] == [("s1", 0, 0, 0), ("s2", 14, 1003, 7)]
    assert together(both, [], now) == both
    with pytest.raises(UserError, match=r"contradict.*VAE < auto in rec_fd; auto < VAE.*leave out the new one"):
        together(both, parse(["auto < VAE in rec_fd"], KNOWN), now)
