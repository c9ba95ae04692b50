"""Citation, terms and numbers of each benchmark, for the metadata of prepared copies."""

import dataclasses
import textwrap


@dataclasses.dataclass(frozen=True)
class Publication:
    """A benchmark as it was published.

    **Arguments:**

    - `citation`: BibTeX.
    - `terms`: a summary of the owner's terms; the owner's own words decide.
    - `instances`: how many instances of text an official set has ("train" of the official training set), where this is
        known of the release; ignored instances are among them.
    - `ignored`: how many of them are ignored.
    """

    citation: str
    terms: str
    instances: dict[str, int] = dataclasses.field(default_factory=dict)
    ignored: dict[str, int] = dataclasses.field(default_factory=dict)


def _bibtex(text: str) -> str:
    return textwrap.dedent(text).strip()


PUBLICATIONS: dict[str, Publication] = {
    "icdar2015": Publication(
        _bibtex("""
            @inproceedings{karatzas2015icdar,
              title = {{ICDAR} 2015 Competition on Robust Reading},
              author = {Karatzas, Dimosthenis and Gomez-Bigorda, Lluis and Nicolaou, Anguelos and Ghosh, Suman and
                Bagdanov, Andrew and Iwamura, Masakazu and Matas, Jiri and Neumann, Lukas and others},
              booktitle = {International Conference on Document Analysis and Recognition (ICDAR)},
              year = {2015}
            }
            """),
        "The terms of the Robust Reading Competition's portal, shown where it is downloaded; research use.",
        instances={"train": 11_886},
        ignored={"train": 7_418},
    ),
    "msra_td500": Publication(
        _bibtex("""
            @inproceedings{yao2012detecting,
              title = {Detecting Texts of Arbitrary Orientations in Natural Images},
              author = {Yao, Cong and Bai, Xiang and Liu, Wenyu and Ma, Yi and Tu, Zhuowen},
              booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
              year = {2012}
            }
            """),
        "Publicly released as a research benchmark; its page is the authority.",
        instances={"train": 1_068},
        ignored={"train": 101},
    ),
    "total_text": Publication(
        _bibtex("""
            @inproceedings{chng2017total,
              title = {Total-Text: A Comprehensive Dataset for Scene Text Detection and Recognition},
              author = {Ch'ng, Chee Kheng and Chan, Chee Seng},
              booktitle = {International Conference on Document Analysis and Recognition (ICDAR)},
              year = {2017}
            }
            """),
        "Non-commercial academic research; no redistribution (DATASET_TERMS.md of its repository).",
    ),
    "ctw1500": Publication(
        _bibtex("""
            @article{liu2019curved,
              title = {Curved scene text detection via transverse and longitudinal sequence connection},
              author = {Liu, Yuliang and Jin, Lianwen and Zhang, Shuaitao and Luo, Canjie and Zhang, Sheng},
              journal = {Pattern Recognition},
              year = {2019}
            }
            """),
        "Non-commercial research only; any other use by its authors' leave.",
    ),
    "mlt2017": Publication(
        _bibtex("""
            @inproceedings{nayef2017icdar,
              title = {{ICDAR2017} Robust Reading Challenge on Multi-Lingual Scene Text Detection and Script
                Identification -- {RRC-MLT}},
              author = {Nayef, Nibal and Yin, Fei and Bizid, Imen and Choi, Hyunsoo and Feng, Yuan and
                Karatzas, Dimosthenis and Luo, Zhenbo and Pal, Umapada and others},
              booktitle = {International Conference on Document Analysis and Recognition (ICDAR)},
              year = {2017}
            }
            """),
        "The terms of the Robust Reading Competition's portal, shown where it is downloaded; research use.",
    ),
    "hust_tr400": Publication(
        _bibtex("""
            @article{yao2014unified,
              title = {A Unified Framework for Multioriented Text Detection and Recognition},
              author = {Yao, Cong and Bai, Xiang and Liu, Wenyu},
              journal = {IEEE Transactions on Image Processing},
              year = {2014}
            }
            """),
        "Published as research data; its authors are the authority.",
    ),
    "synthtext": Publication(
        _bibtex("""
            @inproceedings{gupta2016synthetic,
              title = {Synthetic Data for Text Localisation in Natural Images},
              author = {Gupta, Ankush and Vedaldi, Andrea and Zisserman, Andrew},
              booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
              year = {2016}
            }
            """),
        "The terms of its page at the Visual Geometry Group, Oxford.",
        instances={"train": 7_266_866},
    ),
}
