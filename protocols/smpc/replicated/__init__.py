"""Three parties, two-out-of-three shares, an honest majority, no dealer: the engine below private inference.

Every function here is run by all three parties at the same time, in the same order, on their own shares. Party i
holds (x_i, x_(i+1)) of x = x_0 + x_1 + x_2 modulo 2**64 (Araki, Furukawa, Lindell, Nof, Ohara 2016, section 2). The
same shares are read in a second way (Chaudhari, Choudhury, Patra, Suresh 2019, ASTRA, section 3): x_2 is a masked
value that parties 1 and 2 both see, and x_0 + x_1 is its mask, which party 0 knows whole and the others by halves.
So party 0 can prepare, without waiting for anybody, whatever depends on masks alone, and the two others need one
exchange of one ring element for a product, truncated in the same breath.

Semi-honest: each single party learns nothing, as long as all follow the program and no two pool what they hold.
"""
