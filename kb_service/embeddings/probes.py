"""Questions and the passages that answer them, each of another subject, to measure models with.

Each passage is unrelated to all questions but its own, which is what the measuring rests on.
"""

ENGLISH: tuple[tuple[str, str], ...] = (
    (
        "How long do I have to wait before the bread dough can go into the oven?",
        "After kneading, let the loaf rise under a cloth for ninety minutes, then bake it at high "
        "heat until the crust sounds hollow.",
    ),
    (
        "What happens if somebody misses the deadline for paying taxes?",
        "Returns that are filed late are charged interest for each month, and a penalty of five "
        "per cent of the amount that is owed to the revenue office.",
    ),
    (
        "Which planet has the largest number of moons?",
        "Saturn is circled by more known satellites than any other body around our sun, ahead of "
        "Jupiter.",
    ),
    (
        "How do I reset the password of my account?",
        "Choose 'Forgot your login?' below the sign-in form; a link to set new credentials is "
        "sent to the e-mail address that you registered with.",
    ),
    (
        "Why are coral reefs losing their colour?",
        "When seawater becomes too warm, polyps expel the algae that live in their tissue and "
        "turn white, a process known as bleaching.",
    ),
    (
        "Can I return shoes that I have already worn?",
        "Footwear may be sent back within thirty days for a refund, provided that it is unused "
        "and in its original box.",
    ),
    (
        "Who painted the ceiling of the Sistine Chapel?",
        "Michelangelo worked on the frescoes for Pope Julius II between 1508 and 1512.",
    ),
    (
        "How often should the oil of the engine be changed?",
        "Have the lubricant and its filter replaced every 15,000 kilometres or once a year, "
        "whichever comes first.",
    ),
    (
        "What are the symptoms of a vitamin D deficiency?",
        "Patients with too little of it complain of tiredness, aching bones and weak muscles; "
        "children may develop rickets.",
    ),
    (
        "How is the winner of a tie in chess tournaments decided?",
        "If players finish with equal points, the sum of their opponents' scores, called "
        "Buchholz, determines the ranking.",
    ),
    (
        "When did the Berlin Wall come down?",
        "On the evening of 9 November 1989 the border crossings were opened and crowds began to "
        "demolish the barrier between East and West.",
    ),
    (
        "How much water does a cactus need in winter?",
        "Succulents rest in the cold season and should hardly be watered at all, about once in "
        "six weeks, so that their roots do not rot.",
    ),
)
CHINESE: tuple[tuple[str, str], ...] = (
    (
        "面团要发酵多久才能放进烤箱？",
        "揉好后盖上湿布静置九十分钟，待体积膨胀一倍，再以高温烘烤至表皮金黄。",
    ),
    (
        "逾期没有报税会怎么样？",
        "纳税人未按期申报的，自滞纳之日起按日加收万分之五的滞纳金，并可处以罚款。",
    ),
    ("哪颗行星的卫星最多？", "土星周围已发现的天然卫星数量超过木星，位居太阳系第一。"),
    ("忘记了登录密码怎么办？", "点击登录框下方的“找回账号”，系统会向注册邮箱发送重新设置的链接。"),
    (
        "珊瑚为什么会变白？",
        "海水温度过高时，珊瑚虫会排出体内共生的藻类，失去颜色，这种现象称为白化。",
    ),
    ("穿过的鞋子可以退吗？", "鞋类商品未经使用且包装完好的，可在签收后三十天内申请退货退款。"),
    (
        "西斯廷教堂的天顶画是谁画的？",
        "米开朗基罗受教皇儒略二世委托，于1508年至1512年完成了这组壁画。",
    ),
    ("汽车发动机多久换一次机油？", "建议每行驶一万公里或满一年更换润滑油和滤芯，以先到者为准。"),
    ("缺乏维生素D有什么症状？", "患者常感到乏力、骨骼疼痛和肌肉无力，儿童严重时会得佝偻病。"),
    (
        "围棋比赛平分时怎样排名？",
        "选手积分相同时，比较其所有对手的得分之和，即小分，高者名次在前。",
    ),
    (
        "柏林墙是什么时候倒塌的？",
        "1989年11月9日晚，东西德之间的边境检查站开放，人群开始拆除隔离墙。",
    ),
    ("仙人掌冬天要浇多少水？", "多肉植物在寒冷季节休眠，大约六周浇一次即可，以免根部腐烂。"),
)
