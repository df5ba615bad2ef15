# SPDX-License-Identifier: GPL-2.0-only
"""documents.py - what our documents say: their files, blocks of code, commands, links and headings.

A block is what Markdown shows as code: lines indented by four or more, after an empty line; in a manual
page the lines between .nf and .fi. A command is a line of a block, or text in `backticks`, or bold
text of a manual page, that begins with a program's name.
"""
import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(*patterns):
    """Paths of what git knows (or, without it, what is there), from the repository's root."""
    try:
        listed = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others",
                                 "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True,
                                check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        listed = [os.path.relpath(os.path.join(folder, name), ROOT) for folder, _, names in os.walk(ROOT)
                  for name in names if any(re.search(pattern.replace(".", r"\.").replace("*", ".*") + "$",
                                                     name) for pattern in patterns)]
        listed = [path for path in listed if not path.startswith("build/")]
    return sorted(path for path in set(listed) if os.path.exists(os.path.join(ROOT, path)))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def anchor(heading):
    """What a heading is called in links, as GitHub has it."""
    text = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def plain(line):
    """A line of a manual page without its marks."""
    line = re.sub(r"^\.(?:[BI]{1,2}R?|R[BI]|IR|BR|SH|SS|TP|IP|PP|RS|RE|br|nf|fi|TH)\b ?", "", line)
    line = re.sub(r"\\f[BIRP]|\\~|\\&|\\c", lambda mark: " " if mark.group() == r"\~" else "", line)
    return line.replace(r"\-", "-").replace(r"\e", "\\").replace('"', "")


def blocks(path):
    """[(heading, first line's number, lines)]"""
    found, heading, block, before, fenced = [], "", None, "", False
    manual = not path.endswith(".md")
    for number, line in enumerate(read(path).splitlines(), 1):
        title = re.match(r"#+ (.*)", line) if not manual else re.match(r"\.S[HS] (.*)", line)
        if manual:
            fenced = fenced or line == ".nf"
            inside = fenced and line not in (".nf", ".fi")
            fenced = fenced and line != ".fi"
            line = plain(line)
        else:
            inside = line.startswith("    ") and (block is not None or before == "") or \
                (block is not None and line == "")
        if title and not inside:
            heading = title.group(1).strip('"')
        if inside and block is None:
            block = []
            found.append((heading, number, block))
        if inside:
            block.append(line)
        else:
            block = None
        before = line
    for _, _, lines in found:
        while lines and not lines[-1].strip():
            lines.pop()
    return found


def is_script(lines):
    """Commands for a shell, not a file's content, a program's output or a message."""
    first = next(line.strip() for line in lines if line.strip())
    return not (re.match(r"[\[<{|(]|#!|#cloud|[A-Z_]+=|-\w|nbdkit -.*limit=N$|- |/\*|\.\.\.$", first) and
                not first.startswith("(umask")) and not re.match(r"(?:# )?cswapctl .*\nreleased", "\n".join(lines))


def commands(lines):
    """Each command of a script's lines, whole: what continues is joined, remarks are gone."""
    text = "\n".join(line.strip() for line in lines)
    text = re.sub(r"\\\n", " ", text)
    command = ""
    for line in text.split("\n"):
        line = re.sub(r"(^|\s{2,})#\s.*$", "", line).rstrip()
        # What is quoted may have several lines.
        command = f"{command} {line}".strip() if command else line.strip()
        if command.count("'") % 2 or not command:
            continue
        yield re.sub(r"\s+", " ", command)
        command = ""


def inline(path):
    """Text in backticks; bold text of a manual page."""
    text = read(path)
    if path.endswith(".md"):
        text = re.sub(r"(?ms)^```.*?^```", "", text)
        return [re.sub(r"\s+", " ", code) for code in re.findall(r"`([^`]+)`", text)]
    return [plain(line) for line in text.splitlines() if re.match(r"\.B \"", line)]
