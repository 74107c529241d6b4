"""A model of a user's own, which every program here asks: it answers without a network."""

MODEL = """
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Model(BaseChatModel):
    model_name: str = "gpt-4o-mini"

    @property
    def _llm_type(self):
        return "own"

    def _get_ls_params(self, stop=None, **kwargs):
        known = super()._get_ls_params(stop=stop, **kwargs)
        return {**known, "ls_provider": "openai", "ls_model_name": self.model_name}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        message = AIMessage("hi", usage_metadata=usage, response_metadata={"model_name": self.model_name})
        return ChatResult(generations=[ChatGeneration(message=message)])
"""
