"""`tokframe playground` as it is started and stopped."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from support.toys import toy

from tokframe.cli.installed import complete_names
from tokframe.cli.main import main


@pytest.fixture
def mine(toy_host, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy([b"the "]).save(tmp_path / "mine")
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_it_prints_its_address_serves_and_stops_on_ctrl_c(mine, installed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed))
    run = [sys.executable, "-m", "tokframe.cli.main", "playground", "./mine", "--no-browser"]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#[\w-]{20,}", url)
        with urllib.request.urlopen(url, timeout=30) as page:
            assert b"tokframe playground" in page.read()
        process.send_signal(signal.SIGINT)
        try:
            rest, told = process.communicate(timeout=30)
        finally:
            process.kill()  # a shell that starts jobs in the background has them ignore SIGINT
    assert process.returncode == 0 and rest == ""
    assert "./mine: open the address above" in told and "Stopped." in told and "Traceback" not in told


def test_a_port_that_is_taken_is_told(mine, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["playground", "./mine", "--port", str(port), "--no-browser"]) == 2
    assert f"{port} is taken; omit --port" in capsys.readouterr().err


def test_a_wrong_name_is_told_before_anything_is_served(mine, capsys):
    assert main(["playground", "toi", "--no-browser"]) == 1
    assert "toi" in capsys.readouterr().err


def test_help_has_an_example(capsys):
    assert main(["playground", "--help"]) == 0
    assert "  tokframe playground" in capsys.readouterr().out


@pytest.mark.parametrize(("typed", "found"), [("to", ["toy"]), ("./mi", ["./mi"]), ("", ["toy"])])
def test_the_shell_completes_names_and_folders(toy_host, typed, found):
    assert [item.value for item in complete_names(None, None, typed)] == found


def test_the_shell_completes_commands_and_names(fresh):
    words = {"_TOKFRAME_COMPLETE": "bash_complete", "COMP_WORDS": "tokframe compare to", "COMP_CWORD": "2"}
    source = "from tokframe.cli.main import main\nmain()"
    assert "plain,toy" in fresh(source, TOKFRAME_PLUGINS="toy-bytes", **words).stdout.splitlines()
    words |= {"COMP_WORDS": "tokframe playg", "COMP_CWORD": "1"}
    assert fresh(source, **words).stdout.splitlines() == ["plain,playground"]
