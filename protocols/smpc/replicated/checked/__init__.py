"""The same engine with abort: a single party that cheats is found out before anything is revealed.

`party.CheckedParty` takes the place of `Party`; every function above it runs unchanged. It takes nothing that one
party alone has prepared. Products are those of Araki, Furukawa, Lindell, Nof, Ohara 2016, which a cheating party can
only add a value of its choice to; all of them are written down, and before anything is opened they are checked against
random triples by cut and choose with buckets (Furukawa, Lindell, Nof, Weinstein 2017, protocols 2.22 to 2.24, as used
by Araki et al. 2017). Whatever is opened is known to two parties, and whoever lacks it hears it from both.

What is promised, where the two other parties follow the program and do not help the third:

- Correct or nothing: a party that departs from the program in any message, in any way and at any time, is found out
  before a share of a result leaves an honest party or a value is revealed, but with probability 2**-40 at most. Honest
  parties then raise `PeerMisbehaved`, or `PeerLost` where the other honest one has stopped.
- Private even so: each message is masked by what its receiver cannot know, or is the hash of what it knows; and whether
  a check fails depends on the cheat alone and on nothing secret. So cheating parties learn no more than honest ones.

What is not:

- That there is an answer. Any party can stop the computation, and make it look as if another had cheated: which of the
  two others it was is not always told.
- That inputs are true. An owner gives whatever numbers it likes. `CheckedParty.admit` sees to it that the shares handed
  in belong together, and that all three were told the same in clear; not that it makes sense.
- Fairness. Where several receive a result, a cheating party can keep others from theirs once it has its own.
- Anything, if two of the three work together.
- What semi-honest computing shows of shapes, times and sizes; it is shown here too.

The hash is SHA-256, taken to be collision-free, and masks are AES-128 in counter mode: this part is computational.
"""
