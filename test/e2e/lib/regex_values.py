"""Regular expressions for test_functions.py: every construct, contradicting preferences, groups, and what must be refused."""

import random

PATTERNS = [
    "", "a", "b", "abc", "^abc$", "a.c", "x*", "(a)(b)?", "[a-c]+", "[^a-c]", "a|b|c", "(a|ab)(c|bcd)(d*)", "(a+)(b+)", "^", "$", "\\d+", "\\D", "\\w+",
    "\\W", "\\s", "\\S+", "[[:alpha:]]+", "[[:digit:]_]", "[\\w-]", "[\\D]", "\\mb", "c\\M", "\\yfoo\\y", "\\Y", "\\Aa", "c\\Z", "[[:<:]]w", "d[[:>:]]",
    "(a)\\1", "(.)(.)\\2\\1", "(a*)\\1", "(ab|a)\\1+", "(a)?\\1b", "a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(?=.*c)a", "a*?", "a+?", "a??b", "a{2}",
    "a{2,}", "a{1,2}", "a{1,2}?", "a{0}", "(a){0}b", "(a*)+", "(a*)*", "(a|b)*c", "(ab|a|b)+", "(ab|a|b)*", "(a*?)(a*)", "(a*)(a*?)", "XY*?", "a*?b*", "(?:a|b)c*?",
    "(?:a*?)*", "(?:a|b){1,1}?c*", "((a))", "((a)|b)*", "(?i)ABC", "(?x) a b # comment\n c", "(?n)^b", "(?s)a.b", "(?w)^b.", "(?p)a.b", "(?q)a.b", "***=a.b", "***:a.b",
    "(?ix)A B", "a(?#c)*b", "\\x61", "\\u00e4", "\\U0000e4", "\\141", "\\t", "\\e|\\f|\\v|\\r|\\n", "\\cA", "\\\\", "\\.", "[]a]", "[^]a]", "[a-]", "[-a]", "[[.a.]b]", "[[=a=]]",
    "[[.-.]-z]", "{", "a{", "a{x", "é+", "[ä-ü]", "(?i)[A-C]+", "(?i)[^a]", "日.", "(a(b(c)))", "(^|,)([^,]*)", "(\\d+)-(\\d+)", "o(.*)o", "o(.*?)o", "(.*)l(.*)", "(.*?)l(.*?)$",
    "(a|b)*?c", "(?:(a)|b)*", "(a{1,2}){2}", "((a|b){2})*", "(a?)*?b", "(a|(b))+?c", "x|(?=b)", "(|a)+", "(a|)+b", "()", "(?:)", "a||b", "(?<=^a)b", "(?<=(?:a|b){2})c", "(?!a)\\w",
    # refused
    "(", ")", "(a", "a)", "[", "[a", "[z-a]", "[a-b-c]", "[[:foo:]]", "[[.foo.]]", "a**", "*", "+a", "?", "{1}", "a{2,1}", "a{256}", "a{1", "a{1,x}", "\\", "a\\", "\\q", "\\8", "\\1",
    "(a)\\2", "(\\1)", "(?z)a", "(?i", "***a", "***", "***?", "(?", "(?<a", "(?P<x>a)", "[\\", "[\\q]", "\\x", "\\u12", "(?=(a)\\1)", "^*", "$+", "(*a)", "|", "a|*", "\\x110000000", "(?=a)*",
]
SUBJECTS = ["", "a", "b", "abc", "aab", "aaa", "abcd", "abab", "ab", "ABC", "aBc dEf", "hello world foo", "a\nb", "a\nb\nc", "xyz", "XYYYY", "abba", "äöü", "日本語", "12-34", "a,b,,c", "a.b",
            "a\\b", "a b", "_x1", " ", "abcabc", "{", "a{x", "aaab", "bbc", "a-b", "\t", "]", "foo.bar", "Ä€"]
REPLACEMENTS = ["", "X", "<\\1>", "\\2\\1", "[\\&]", "\\\\", "\\", "\\0a", "ä\\9"]
FLAGS = ["", "i", "g", "n", "x", "gi", "c", "q", "m", "s", "p", "w", "t", "ic", "z", "1", "ä"]
SIMILAR = ["", "abc", "a%", "%b%", "a_c", "(a|b)%", "[a-c]+", "a{2}", "a.c", "^a", "a$", "a\\%", "%\\d%", "a#%", "[#%]", "a|abc", "[\\]x", "(", "a*", "%#\"b#\"%", "#\"%#\"c", "a#\"%#\"#\"", "%#\"a_#\"_",
           "a#", "#a#b", "%\"%", "h#\"%#\"o%", "[\"]"]
_STARTS = ["1", "2", "3", "0", "-1", "100"]

_WORDS = ["a", "b", "c", "ab", ".", "[ab]", "(?:a|ab)", "(a)", "(b|ab)", "(a|b)", "(a*)", "(?=b)", "(?<!a)", "\\y", "^", "$", "|", "|", "(?:(a)b|a(b))", "\\1"]
_COUNTS = ["", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{1,1}?", "{2}?"]


def random_pattern(rng, depth=2):
    """Mostly valid."""
    out = ""
    for _ in range(rng.randrange(1, 5)):
        if depth and rng.random() < 0.25:
            word = rng.choice(["(%s)", "(?:%s)", "(%s)"]) % random_pattern(rng, depth - 1)
        else:
            word = rng.choice(_WORDS)
        out += word + ("" if word in ("|", "^", "$", "\\y", "(?=b)", "(?<!a)") else rng.choice(_COUNTS))
    return out


_rng = random.Random(7)
RANDOM = [random_pattern(_rng) for _ in range(150)]
_TEXTS = ["".join(_rng.choice("aabbc") for _ in range(n)) for n in (0, 1, 2, 3, 4, 5, 6, 8) for _ in range(4)]

SPECIAL = {
    "regexp_like(text,text,text)": [SUBJECTS, PATTERNS, FLAGS],
    "regexp_count(text,text)": [SUBJECTS, PATTERNS],
    "regexp_count(text,text,int4)": [SUBJECTS, PATTERNS, _STARTS],
    "regexp_count(text,text,int4,text)": [SUBJECTS, PATTERNS, _STARTS, FLAGS],
    "regexp_instr(text,text,int4,int4,int4,text,int4)": [SUBJECTS, PATTERNS, _STARTS[:4], ["1", "2", "0"], ["0", "1", "2"], FLAGS, ["0", "1", "2", "3", "-1"]],
    "regexp_substr(text,text,int4,int4,text,int4)": [_TEXTS + SUBJECTS, RANDOM + PATTERNS, ["1", "1", "2"], ["1", "1", "2"], ["", "i", "n"], ["0", "1", "2", "3"]],
    "regexp_replace(text,text,text)": [_TEXTS, RANDOM, ["<\\1|\\2|\\3>", "[\\&]"]],
    "regexp_replace(text,text,text,text)": [_TEXTS + SUBJECTS, RANDOM + PATTERNS, REPLACEMENTS, ["g", "g", "g"] + FLAGS],
    "regexp_replace(text,text,text,int4,int4,text)": [SUBJECTS, PATTERNS, REPLACEMENTS, _STARTS, ["0", "1", "2", "-1"], FLAGS],
    "substring(text,text)": [_TEXTS + SUBJECTS, RANDOM + PATTERNS],
    "substring(text,text,text)": [SUBJECTS, SIMILAR, ["#", "\\", "", "ä", "ab", "a", "\""]],
    "similar_to_escape(text)": [SIMILAR], "similar_to_escape(text,text)": [SIMILAR, ["#", "\\", "", "ä", "ab", "a", "\"", "%"]],
}
for _op in ("~", "!~", "~*", "!~*"):
    SPECIAL["%s(text,text)" % _op] = [SUBJECTS, PATTERNS]
    SPECIAL["%s(bpchar,text)" % _op] = [["abc  ", "a", "  x "], PATTERNS]
for _types, _count in (("int4", 3), ("int4,int4", 4), ("int4,int4,int4", 5), ("int4,int4,int4,text", 6)):
    SPECIAL["regexp_instr(text,text,%s)" % _types] = [SUBJECTS, PATTERNS, _STARTS, ["1", "2", "0"], ["0", "1", "2"], FLAGS][:_count]
for _types, _count in (("int4", 3), ("int4,int4", 4), ("int4,int4,text", 5)):
    SPECIAL["regexp_substr(text,text,%s)" % _types] = [SUBJECTS, PATTERNS, _STARTS, ["1", "2", "0"], FLAGS][:_count]
for _types, _count in (("int4", 4), ("int4,int4", 5)):
    SPECIAL["regexp_replace(text,text,text,%s)" % _types] = [SUBJECTS, PATTERNS, REPLACEMENTS, _STARTS, ["0", "1", "2", "-1"]][:_count]
for _name in ("regexp_like", "regexp_count", "regexp_instr", "regexp_substr"):
    SPECIAL.setdefault("%s(text,text)" % _name, [SUBJECTS, PATTERNS])
