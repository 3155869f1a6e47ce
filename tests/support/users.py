"""Users of a relay: lines of a users file, and what their clients say."""
import base64
import subprocess

from support.relay import binary

PASSWORD = "correct-horse-17"  # found nowhere else: what is looked for in logs


def passwd(user, password=PASSWORD, *options):
    """A users-file line."""
    result = subprocess.run([binary(), "passwd", user, *options], input=password + "\n", capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()
