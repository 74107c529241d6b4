"""Real clients of the three frameworks for the server on this machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Clients:
    """Makes models that talk to the server."""

    base_url: str

    def langchain(self, model="gpt-4o-mini", **options):
        from langchain_openai import ChatOpenAI

        options = {"max_retries": 0, "stream_usage": True, **options}
        return ChatOpenAI(model=model, base_url=self.base_url, api_key="x", **options)

    def langchain_completion(self):
        from langchain_openai import OpenAI

        return OpenAI(model="gpt-3.5-turbo-instruct", base_url=self.base_url, api_key="x", max_retries=0)

    def crewai(self, model="openai/gpt-4o-mini", **options):
        from crewai import LLM

        return LLM(model=model, base_url=self.base_url, api_key="x", max_retries=0, **options)

    def crewai_agent(self, **options):
        from crewai import Agent

        said = {"goal": "Find out", "backstory": "Curious", "llm": self.crewai()}
        return Agent(role="Researcher", **{**said, **options})

    def crew(self, **options):
        from crewai import Crew, Task

        agent = self.crewai_agent(**options)
        return Crew(
            agents=[agent], tasks=[Task(description="Look", expected_output="A fact", name="look", agent=agent)]
        )

    def llamaindex(self, model="gpt-4o-mini", **options):
        from llama_index.llms.openai import OpenAI

        options = {"additional_kwargs": {"stream_options": {"include_usage": True}}, **options}
        return OpenAI(model=model, api_base=self.base_url, api_key="x", max_retries=0, **options)
