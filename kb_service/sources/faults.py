"""Why something could not be fetched, in the words of a sentence to its user."""


class FetchFault(Exception):
    """Today; it may be there the next time."""


class Forbidden(FetchFault):
    """It is not fetched at all: the guard or the site's robots.txt says no."""


class Gone(FetchFault):
    """The site says that there is no such page."""


def not_allowed(host: str) -> Forbidden:
    return Forbidden(
        f"不允许访问 {host}：地址不属于公网。内网站点须由管理员在 CRAWL_ALLOWED_HOSTS 中列出。"
        f"{host} is not on the public internet; an operator can name hosts of the own network in "
        "CRAWL_ALLOWED_HOSTS."
    )


def bad_url(why_chinese: str, why: str) -> Forbidden:
    return Forbidden(f"网址无效：{why_chinese}。Not a URL to import: {why}.")


def unreachable(host: str) -> FetchFault:
    return FetchFault(f"无法连接 {host}。{host} cannot be reached.")


def took_too_long() -> FetchFault:
    return FetchFault("网站响应超时。The site took too long.")


def answered(status: int) -> FetchFault:
    kind = Gone if status in {404, 410} else FetchFault
    return kind(f"网站返回 {status}。The site answered {status}.")


def too_large(megabytes: int) -> FetchFault:
    return FetchFault(f"内容超过 {megabytes} MB。The page is larger than {megabytes} MB.")


def damaged() -> FetchFault:
    return FetchFault("网站传来的内容已损坏。What the site sent is damaged.")


def too_many_redirects() -> FetchFault:
    return FetchFault("重定向次数过多。There are too many redirects.")


def kept_out() -> Forbidden:
    return Forbidden("网站的 robots.txt 不允许抓取。The site's robots.txt forbids it.")


def no_robots(why: object) -> FetchFault:
    return FetchFault(
        f"无法读取网站的 robots.txt，因此未抓取。The site's robots.txt cannot be read: {why}"
    )


def other_site() -> Forbidden:
    return Forbidden(
        "站点地图只能列出本站的有效网址。A sitemap names pages of its own site only, by good URLs."
    )


def others_page() -> Forbidden:
    return Forbidden(
        "该知识库的另一个来源已包含此网页。Another source of this knowledge base has this page."
    )


def not_listed() -> FetchFault:
    return FetchFault("站点地图中已没有此网页。The sitemap does not name it any more.")


def given_up(last: object) -> FetchFault:
    return FetchFault(f"连续多个网页失败，已停止。Stopped after many faults in a row: {last}")
