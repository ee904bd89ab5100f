"""What stands before the colon of a link, in any language of Wikipedia, lower-case and with spaces.

The English names are understood by every wiki, and each has names of its own. No wiki has articles whose titles begin
with another wiki's name of its categories, so one set serves all.
"""

from __future__ import annotations

import re

_CATEGORY = """
category kategorie catégorie categoría categoria kategoria kategória kategorija kategori kategorio categorie
категория категорія катэгорыя категорија категори kategooria flokkur luokka kategoriya kateqoriya kategorya
κατηγορία تصنيف رده زمرہ קטגוריה श्रेणी वर्ग বিষয়শ্রেণী பகுப்பு వర్గం വർഗ്ഗം หมวดหมู่ カテゴリ 分类 分類 분류
կատեգորիա კატეგორია санат төркем ангилал catigurìa categurìa catigoria વર્ગ શ્રેણી ਸ਼੍ਰੇਣੀ kategoriyê turkum туркум jamii
"""
_LANGUAGES = """
aa ab ace ady af ak als alt am ami an ang anp ar arc ary arz as ast atj av avk awa ay az azb ba ban bar bat-smg bbc
bcl be be-tarask be-x-old bg bh bi bjn blk bm bn bo bpy br bs bug bxr ca cbk-zam cdo ce ceb ch cho chr chy ckb co
cr crh cs csb cu cv cy da dag de dga din diq dsb dty dv dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo
fon fr frp frr fur fy ga gag gan gcr gd gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif ho hr
hsb ht hu hy hyw hz ia id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg ki kj kk kl km
kn ko koi kr krc ks ksh ku kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv mad mai map-bms mdf
mg mh mhr mi min mk ml mn mni mnw mo mr mrj ms mt mus mwl my myv mzn na nah nap nds nds-nl ne new ng nia nl nn no nb
nov nqo nrm nso nv ny oc olo om or os pa pag pam pap pcd pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro
roa-rup roa-tara ru rue rw sa sah sat sc scn sco sd se sg sh shi shn si simple sk skr sl sm smn sn so sq sr srn ss
st stq su sv sw szl szy ta tay tcy te tet tg th ti tk tl tly tn to tokipona tpi tr trv ts tt tum tw ty tyv udm ug uk
ur uz ve vec vep vi vls vo wa war wo wuu xal xh xmf yi yo yue za zea zh zh-classical zh-min-nan zh-yue zu
"""
FILE = frozenset({"file", "image", "media"})
CATEGORY = frozenset(_CATEGORY.split()) | {"thể loại"}
LANGUAGES = frozenset(_LANGUAGES.split())
_MEDIA_NAME = re.compile(
    r"(?i)\.(?:jpe?g|png|svg|gif|tiff?|webp|xcf|bmp|djvu|pdf|og[agvx]|opus|webm|mp[34]|mpe?g|midi?|wav|flac|stl)\s*$"
)


def is_file(prefix: str, name: str) -> bool:
    """Whether a link shows a file. Each wiki has its own names of that namespace; the endings of files are the same."""
    return prefix in FILE or _MEDIA_NAME.search(name) is not None


def is_language(prefix: str) -> bool:
    """Whether a link leads to the article in another language; a reader sees those beside the text."""
    return prefix in LANGUAGES
