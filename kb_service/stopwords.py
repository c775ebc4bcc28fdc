"""Words that say nothing about what is asked: reviewed by hand, kept short.

A word belongs here when a question means the same without it. Negations, numbers and quantities
do not: they change what is asked.
"""

import re

# Too frequent as single characters to tell passages apart; whole words keep them.
STOP_CHARACTERS = frozenset(
    "的了着过吗呢吧啊呀嘛么之其也就都而且与和及或在是有为以于对从被把让给这那哪个们"
)

# A question's own words, which its answer does not repeat.
_CHINESE = """
你好 您好 大家好 嗨 哈喽 喂 早上好 上午好 中午好 下午好 晚上好 早安 晚安 在吗 在不在 谢谢 谢谢您
谢谢你 多谢 感谢 非常感谢 辛苦 辛苦了 麻烦 麻烦您 劳驾 再见 拜拜 好的 嗯 哦 哈哈 请 请问 请教
敬请 一下 帮 帮忙 帮我 告诉 告诉我 知道 想知道 想问 问一下 说说 说一下 讲讲 介绍一下 什么 啥
什么样 怎么 怎样 怎么样 怎么办 咋 咋办 咋样 如何 为什么 为何 为啥 哪 哪个 哪些 哪里 哪儿 哪种
哪一个 谁 几 几个 多少 多久 多长 多大 何时 何地 何处 何种 什么时候 什么意思 意思 是不是 有没有
时候 能不能 可不可以 要不要 会不会 可否 能否 是否 吗 呢 吧 啊 呀 嘛 么 的 地 得 了 着 过 之 所 者 是
就是 在 有 和 与 及 或 或者 以及 也 都 就 还 还是 又 再 才 很 太 非常 挺 真 这 那 这个 那个 这些
那些 这样 那样 这里 那里 这么 那么 我 你 您 他 她 它 我们 你们 他们 她们 它们 咱们 咱 自己 把 被
给 让 对 对于 关于 从 到 向 往 由 以 为 为了 因为 由于 所以 因此 如果 要是 但 但是 而 而且 并
并且 虽然 不过 则 于 其 其中 个 一个 些 一些 点 一点 呗 啦 哎 唉 可以 能 能够 会 要 想 应 应该
应当 需要 得到 有关 相关
"""
_ENGLISH = """
hello hi hey good morning afternoon evening thanks thank you please ok okay bye
what which who whom whose when where why how many much do does did is are was were be been being am
can could should would will may might must shall have has had tell know want me my mine i we us our
your he she it its they them their his her this that these those there here
a an the of to in on at for by with from about as and or if so than then but
"""
STOP_WORDS = frozenset((_CHINESE + _ENGLISH).split())

# Sentences by which people only greet, thank or ask whether anybody is there.
_COURTESIES = """
你好,您好,大家好,哈喽,哈罗,嗨,喂,早,早上好,上午好,中午好,下午好,晚上好,早安,午安,晚安,在,在吗,在不在,有人,有人在,人呢
谢谢,谢谢你,谢谢您,谢,多谢,感谢,非常感谢,辛苦,辛苦你,辛苦您,不客气,不用谢,没事,没关系,好,是,对,行,可以,明白,知道,收到,了解
嗯,哦,噢,哈,呵,嘿,我想问,我想问一下,想问一下,我想请教,我想请教一下,我想咨询一下,问一下,问个问题,请问,请问一下,麻烦问一下
请教一下,打扰,打扰一下,帮我,帮我一下,帮个忙,帮忙,能帮我,能帮我一下,能帮我吗,你能帮我,你是谁,您是谁,你贵姓,您贵姓,再见,拜
hello,hello there,hi,hi there,hey,hey there,good morning,good afternoon,good evening,good night
goodbye,good bye,bye,bye bye
thanks,thanks a lot,thank you,thank you so much,thank you very much,thx,ok,okay
help,help me,please help,please help me,can you help me
test,测试,who are you,how are you,are you there,anybody there,is anybody there,is anyone there
"""
_PARTICLES = "的了呀啊啦哦呢吗么嘛吧"
_BETWEEN_SENTENCES = re.compile(r"([,.!?;:~…。、\n]+)")
_REPEATED = re.compile(r"(.)\1+")


def without_courtesies(plain: str) -> str:
    """A folded question without its sentences that only greet or thank."""
    parts = _BETWEEN_SENTENCES.split(plain)
    return "".join(part for part in parts if _core(part) not in _CORES)


def _core(sentence: str) -> str:
    """Whatever is said with more stress or less is the same: 哈哈哈, 在么, 好的呀."""
    words = " ".join(sentence.split())
    return _REPEATED.sub(r"\1", words.rstrip(_PARTICLES) or words)


_CORES = frozenset(_core(one) for one in re.split("[,\n]", _COURTESIES.strip()))
