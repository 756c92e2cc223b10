// Texts to try. They were written for this project. The questions about the rainforest are those of the article by AWS
// and Intel, which asks them about a paragraph of SQuAD.

export const EXAMPLES = [
  {
    title: "Amazon rainforest",
    text:
      "The Amazon rainforest, known in English also as Amazonia or the Amazon Jungle, is a broadleaf forest in South " +
      "America. It grows in the basin of the Amazon River, which has an area of 7,000,000 square kilometres; 5,500,000 " +
      "square kilometres of the basin are covered by the rainforest. Nine nations have a share in it. About 60% of " +
      "the forest lies in Brazil, 13% in Peru and 10% in Colombia. The forest is home to an estimated 390 billion " +
      "trees of about 16,000 species.",
    questions: [
      "Which name is also used to describe the Amazon rainforest in English?",
      "How many square kilometers of rainforest is covered in the basin?",
      "In which country is most of the forest?",
    ],
  },
  {
    title: "Lighthouse",
    text:
      "The lighthouse at Cape Arden was built in 1871 by the engineer Zoë Müller. Its lamp burned whale oil until 1903, " +
      "when the harbour company replaced it with an electric lamp.\n\n" +
      "Three keepers lived on the cape at any time. The last of them, Tomás Quiroga, left in 1987, and the light has been " +
      "automatic since. In the storm of 1954 he had pulled eleven fishermen from the sea 🌊, for which the town gave him " +
      "a silver medal. Visitors can climb the 214 steps of the tower from May to September.",
    questions: [
      "Who built the lighthouse?",
      "How many fishermen did Tomás Quiroga save?",
      "When can the tower be visited?",
    ],
  },
  {
    title: "Warranty",
    text:
      "Your kettle has a warranty of three years from the day of purchase. The warranty covers faults of material and " +
      "workmanship. It does not cover damage by limescale, and it ends if the kettle is opened by anyone other than our " +
      "service.\n\n" +
      "To make a claim, send the kettle with its receipt to the service centre in Leeds. We pay the postage. A repair takes " +
      "about ten working days. If we cannot repair the kettle, you get a new one of the same model, and the warranty " +
      "of the new kettle begins again on the day of delivery.",
    questions: [
      "How long is the warranty?",
      "Where do I send the kettle?",
      "What does the warranty not cover?",
    ],
  },
];
