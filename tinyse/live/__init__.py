"""Live enhancement: a page on this machine that sends its microphone through a runtime.

    browser                                              tinyse live
    microphone or file -> AudioWorklet -- WebSocket -->  session -> runtime
    loudspeaker, two spectrograms      <-- WebSocket --  frame, time it took

offers    the models and runtimes that a page can switch between
messages  what page and server say to each other
session   one page's sound: its stream, its past, its times
server    the page's files and its socket; who may have them
page/     what the browser runs: plain files, no build step
"""

from tinyse.live.offers import Offer, Offers, find_offers
from tinyse.live.server import LiveServer

__all__ = ["LiveServer", "Offer", "Offers", "find_offers"]
