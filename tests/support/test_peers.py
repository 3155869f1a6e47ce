"""Do the other relays pass the corpus byte for byte when they stand alone, so that a story that fails tells of ours?"""
import smtplib

import pytest

from support import peers
from support.mail import corpus, without_trace


@pytest.mark.parametrize("kind", peers.KINDS)
def test_a_peer_alone(server, tmp_path, kind):
    sent = dict(corpus())
    with peers.make(kind, peers.unpack(), tmp_path / "peer", next_hop=server) as peer:
        with smtplib.SMTP(peer.address, peer.port, timeout=30) as client:
            for name, content in sent.items():
                client.sendmail("sender@here.test", [f"{name}@there.test"], content)
        for message in server.wait_messages(len(sent), 30):
            assert without_trace(message.content) == sent[message.paths[0][1:].split("@")[0]], peer.output()
